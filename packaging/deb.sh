#!/bin/sh
# Makes the Debian package of a program that is already built: packaging/deb.sh [CARGO-DEB-OPTION]...
#
#   cargo build --release --locked --features postgres,nats && packaging/deb.sh
#
# The program itself prints its manual and completions. For another architecture, RUNNER is an emulator
# to run it with, or NATIVE a program for this machine. LICENCES is a file with those of the crates:
#
#   RUNNER="qemu-aarch64-static -L /" packaging/deb.sh --target aarch64-unknown-linux-gnu
set -eu
cd "$(dirname "$0")/.."

# cargo-deb finds the shared libraries with it, and otherwise only warns.
command -v dpkg-shlibdeps > /dev/null || { echo "not installed: dpkg-dev" >&2; exit 69; }

triple=''
profile=release
previous=''
for argument; do
    case $previous in
        --target) triple=$argument/ ;;
        --profile) profile=$argument ;;
    esac
    previous=$argument
done
[ "$profile" != dev ] || profile=debug
built=${CARGO_TARGET_DIR:-target}/$triple$profile
program=${NATIVE:-$built/energi-gateway}
run() {
    # Several words.
    # shellcheck disable=SC2086
    ${RUNNER:-} "$program" "$@"
}

rm -rf "$built/manual" "$built/completions" "$built/documents"
run man --all "$built/manual"
gzip -9n "$built"/manual/*.1
mkdir "$built/completions"
for shell in bash zsh fish; do
    run completions "$shell" > "$built/completions/energi-gateway.$shell"
done
mkdir "$built/documents"
cp README.md ${LICENCES:+"$LICENCES"} "$built/documents/"
exec cargo deb --no-build --locked "$@"
