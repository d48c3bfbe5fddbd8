#!/usr/bin/env bash
# Builds the program for a Raspberry Pi or another ARM machine, and tests it under emulation:
#
#   packaging/cross.sh arm64            # or armhf: 32 bits, ARMv7 and later
#
# Needs Debian 12 or later. PROFILE=dev builds without optimization. TESTS names the crates whose
# tests run under emulation; an empty list runs none. packaging/deb.sh then makes the Debian package.
set -euo pipefail
cd "$(dirname "$0")/.."

case ${1:-} in
    arm64) triple=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu machine=AArch64 emulator=qemu-aarch64-static ;;
    armhf) triple=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf machine=ARM emulator=qemu-arm-static ;;
    *) echo "usage: packaging/cross.sh arm64|armhf" >&2; exit 64 ;;
esac
architecture=$1
profile=${PROFILE:-release}
tests=${TESTS-energi-decoders energi-sinks}

# Rust of Debian: rustup has no library for the foreign architecture without a download, and Debian's
# `rustc` is too old. The emulated program needs the foreign C library itself; that of the cross
# compiler's packages hangs with threads.
packages=(rustc-web cargo-web gcc libc6-dev "gcc-$gnu" qemu-user-static
    "libc6:$architecture" "libgcc-s1:$architecture" "libstd-rust-web-dev:$architecture")
missing=()
for package in "${packages[@]}"; do
    dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing+=("$package")
done
if ((${#missing[@]})); then
    printf '%s\n' "not installed: ${missing[*]}" "As root:" \
        "  dpkg --add-architecture $architecture && apt-get update" \
        "  apt-get install --no-install-recommends ${packages[*]}" >&2
    exit 69
fi

variable=${triple//-/_}
export RUSTC=/usr/bin/rustc RUSTDOC=/usr/bin/rustdoc
export "CC_$variable=$gnu-gcc" "AR_$variable=$gnu-ar"
export "CARGO_TARGET_${variable^^}_LINKER=$gnu-gcc" "CARGO_TARGET_${variable^^}_RUNNER=$emulator -L /"

cargo=(/usr/bin/cargo)
options=(--locked --target "$triple" --profile "$profile")
"${cargo[@]}" build "${options[@]}" --bin energi-gateway
for crate in $tests; do
    # Real servers are tested on the machine itself; they would be slow to start here.
    "${cargo[@]}" test --locked --target "$triple" -p "$crate" --lib --tests
done

target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
program=$target/$triple/${profile/%dev/debug}/energi-gateway
readelf -h "$program" | grep -q "Machine: *$machine\$"

# The example day, byte for byte as on x86-64: `tests/golden/eddi-day.digest` has the sums.
lines=$(mktemp)
home=$(mktemp -d)
trap 'rm -rf "$lines" "$home"' EXIT
"$emulator" -L / "$program" decode --experimental all examples/captures/eddi-day.pcapng.gz > "$lines"
cut -c10-22 "$lines" | uniq | while read -r hour; do
    count=$(grep -c "^{\"time\":\"$hour" "$lines")
    sum=$(grep "^{\"time\":\"$hour" "$lines" | tr -d '\n' | gzip -1 | tail -c 8 | od -A n -t x4 -N 4 | tr -d ' ')
    echo "$hour $count lines, CRC-32 $sum"
done | diff - tests/golden/eddi-day.digest
# ... and through the whole gateway into a history.
ln -s "$PWD/examples" "$home/examples"
(
    cd "$home"
    "$emulator" -L / "$program" run -c "$OLDPWD/config.example.yaml" > /dev/null
    "$emulator" -L / "$program" report daily --db ./*.db --format csv
) | grep -q ',2026-06-20,21.09,6.92,4.84,28.64,'
echo "$architecture: $program passed the example day"
