#!/usr/bin/env bash
# Builds the program for an architecture and tests it, under emulation if this machine has another one:
#
#   packaging/cross.sh arm64            # or armhf (32 bits, ARMv7 and later), or amd64
#
# Needs Debian 12 or later. Environment variables:
#   PROFILE=dev   builds without optimization
#   STATIC=1      links all libraries in
#   TESTS="..."   the crates whose tests run (energi-decoders energi-sinks); empty: none. Those of
#                 energi-sinks start themselves, so the kernel needs the emulator (binfmt_misc)
#   INSTALL=1     installs missing Debian packages, as root and without a question
# The last two lines name the emulator and the program. packaging/deb.sh makes its Debian package.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
    amd64) triple=x86_64-unknown-linux-gnu gnu=x86_64-linux-gnu machine=X86-64 emulator='qemu-x86_64-static -L /' ;;
    arm64) triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu machine=AArch64 emulator='qemu-aarch64-static -L /' ;;
    armhf) triple=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf machine=ARM emulator='qemu-arm-static -L /' ;;
    *) echo "usage: packaging/cross.sh amd64|arm64|armhf" >&2; exit 64 ;;
esac
architecture=$1
[ "$architecture" != "$(dpkg --print-architecture)" ] || emulator=''
profile=${PROFILE:-release}
tests=${TESTS-energi-decoders energi-sinks}

# Rust of Debian has the libraries of all three. (Its package `rustc` is too old.) The emulated
# program needs the foreign C library itself: that of the cross compiler's packages hangs with threads.
# A library of two architectures needs one version: those of this machine are brought up to date.
packages=(rustc-web cargo-web ca-certificates gcc libc6-dev binutils)
if [ -n "$emulator" ]; then
    packages+=("gcc-${gnu/_/-}" "libc6-dev-$architecture-cross" qemu-user-static
        libc6 libgcc-s1 "libc6:$architecture" "libgcc-s1:$architecture" "libstd-rust-web-dev:$architecture")
fi
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})) && [ -n "${INSTALL:-}" ]; then
    export DEBIAN_FRONTEND=noninteractive
    {
        [ -z "$emulator" ] || dpkg --add-architecture "$architecture"
        apt-get update -q
        apt-get install -qy --no-install-recommends "${packages[@]}"
    } >&2
elif ((${#missing[@]})); then
    printf '%s\n' "not installed: ${missing[*]}" "As root:" \
        "  ${emulator:+dpkg --add-architecture $architecture && }apt-get update" \
        "  apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 69
fi

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
flags=''
if [ -n "${STATIC:-}" ]; then
    target=$target/static
    flags='-C target-feature=+crt-static'
fi
# Paths of this machine are not in the program, so that it is the same wherever it is built.
home=${CARGO_HOME:-$HOME/.cargo}
paths=("$target=target" "$home=cargo" "$PWD=.")
variable=${triple//-/_}
export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc CARGO_TARGET_DIR=$target
export "RUSTFLAGS=$flags ${paths[*]/#/--remap-path-prefix=}"
export "CC_$variable=$gnu-gcc" "CFLAGS_$variable=${paths[*]/#/-ffile-prefix-map=}"
export "CARGO_TARGET_${variable^^}_LINKER=$gnu-gcc"
[ -z "$emulator" ] || export "CARGO_TARGET_${variable^^}_RUNNER=$emulator"

cargo=(/usr/bin/cargo)
"${cargo[@]}" build --locked --target "$triple" --profile "$profile" --features postgres,nats --bin energi-gateway
for crate in $tests; do
    "${cargo[@]}" test --locked --target "$triple" -p "$crate" --lib --tests
done

program=$target/$triple/${profile/%dev/debug}/energi-gateway
readelf -h "$program" | grep -q "Machine: .*$machine\$"
if [ "$profile" = release ] && readelf -S "$program" | grep -q '\.symtab'; then
    echo "$program is not stripped" >&2
    exit 1
fi
if [ -n "${STATIC:-}" ] && readelf -l "$program" | grep -q INTERP; then
    echo "$program is not static" >&2
    exit 1
fi
run() {
    # shellcheck disable=SC2086 # several words
    $emulator "$program" "$@"
}

# The example day, byte for byte as everywhere: tests/golden/eddi-day.digest has the sums.
lines=$(mktemp)
folder=$(mktemp -d)
trap 'rm -rf "$lines" "$folder"' EXIT
run decode --experimental all examples/captures/eddi-day.pcapng.gz > "$lines"
cut -c10-22 "$lines" | uniq | while read -r hour; do
    count=$(grep -c "^{\"time\":\"$hour" "$lines")
    sum=$(grep "^{\"time\":\"$hour" "$lines" | tr -d '\n' | gzip -1 | tail -c 8 | od -A n -t x4 -N 4 | tr -d ' ')
    echo "$hour $count lines, CRC-32 $sum"
done | diff - tests/golden/eddi-day.digest
# ... and through the whole gateway into a history.
ln -s "$PWD/examples" "$folder/examples"
(
    cd "$folder"
    run run -c "$OLDPWD/config.example.yaml" > /dev/null
    run report daily --db ./*.db --format csv
) | grep -q '^17589669,2026-06-20,21.09,6.923,4.845,28.64,1$'
echo "emulator: $emulator"
echo "passed: $program"
