#!/bin/sh
# Builds the Debian package of a program that is built: packaging/deb.sh [CARGO-DEB-OPTION]...
#
#   cargo build --release --locked && packaging/deb.sh
#
# The manual and the completions are made by the program. One that this machine cannot run, being
# built for another, has them made by a native one, which NATIVE names:
#
#   NATIVE=target/debug/energi-gateway packaging/deb.sh --target aarch64-unknown-linux-musl
set -eu
cd "$(dirname "$0")/.."

triple=''
previous=''
for argument; do
    [ "$previous" != --target ] || triple=$argument/
    previous=$argument
done
built=${CARGO_TARGET_DIR:-target}/${triple}release
program=${NATIVE:-$built/energi-gateway}

rm -rf "$built/manual" "$built/completions"
"$program" man --all "$built/manual"
gzip -9n "$built"/manual/*.1
mkdir "$built/completions"
for shell in bash zsh fish; do
    "$program" completions "$shell" > "$built/completions/energi-gateway.$shell"
done
exec cargo deb --no-build --locked "$@"
