#!/bin/sh
# Makes the folder of the Home Assistant app, with a program that is already built:
#
#   packaging/home-assistant.sh target/aarch64-unknown-linux-gnu/release/energi-gateway
#
# The folder is target/home-assistant/energi_gateway; docs/installation.md says how to install it.
set -eu
program=$(realpath "${1:?usage: packaging/home-assistant.sh PROGRAM}")
cd "$(dirname "$0")/.."

# With /lib on the image's side: the program must need no newer C library than Debian 12 has.
needed=$(readelf -V "$program" | grep -o 'GLIBC_2\.[0-9]*' | sort -Vu | tail -n 1)
if [ -n "$needed" ] && [ "${needed#GLIBC_2.}" -gt 36 ]; then
    echo "$program needs $needed: build it on Debian 12 (GLIBC_2.36) or earlier" >&2
    exit 65
fi

folder=target/home-assistant/energi_gateway
rm -rf "$folder"
mkdir -p "$folder"
cp -r packaging/home-assistant/. "$folder/"
cp docs/changelog.md "$folder/CHANGELOG.md"
install -m 755 "$program" "$folder/energi-gateway"
# Authorities for mqtts:// and https://.
cp /etc/ssl/certs/ca-certificates.crt "$folder/"
echo "$folder"
