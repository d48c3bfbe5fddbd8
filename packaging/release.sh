#!/usr/bin/env bash
# Builds all files of a release into dist/:
#
#   packaging/release.sh amd64 arm64 armhf
#
# For each architecture, a Debian package (for Debian 12 and later) and an archive with a static
# program; in addition the licences and the list (CycloneDX) of all crates, and SHA256SUMS. The same
# commit gives the same bytes in any folder, with the same Debian packages. Needs those of
# packaging/cross.sh, dpkg-dev, and cargo-deb, cargo-cyclonedx and cargo-about with its feature `cli`
# (docs/contributing.md has the versions). PROFILE=dev tests this script without optimization.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# -gt 0 ] || { echo "usage: packaging/release.sh amd64|arm64|armhf..." >&2; exit 64; }

export SOURCE_DATE_EPOCH TESTS='' LC_ALL=C TZ=UTC
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)
rm -rf dist
mkdir dist

# What is in it, and under which licences.
cargo fetch --locked --quiet
licences=$PWD/dist/THIRD-PARTY-LICENCES.txt
cargo about generate --offline --locked --features postgres,nats --fail packaging/licences.hbs \
    --config packaging/about.toml --output-file "$licences"
for library in libc6 libstd-rust-web-dev; do
    printf '\n%s\n%s\n\n' "$(printf -- '-%.0s' {1..80})" "The libraries of Debian's package $library:"
    cat "/usr/share/doc/$library/copyright"
done >> "$licences"
cargo cyclonedx --format json --spec-version 1.5 --no-build-deps \
    --features postgres,nats --override-filename sbom --quiet
# Without the folder that it was built in.
sed "s|file://$PWD|file:///energi-gateway|g" sbom.json > "dist/energi-gateway-$version.cdx.json"
git ls-files --others --exclude-standard '*sbom.json' | xargs rm -f

archive() {
    # The same bytes for the same files.
    tar --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner \
        --format=ustar -cf - -C "$1" "$2" | gzip -9n > "dist/$2.tar.gz"
}

for architecture; do
    result=$(packaging/cross.sh "$architecture" | tail -n 2)
    emulator=$(sed -n 's/^emulator: //p' <<< "$result")
    dynamic=$(sed -n 's/^passed: //p' <<< "$result")
    static=$(STATIC=1 packaging/cross.sh "$architecture" | sed -n 's/^passed: //p')
    triple=$(basename "$(dirname "$(dirname "$dynamic")")")
    LICENCES=$licences RUNNER=$emulator packaging/deb.sh --target "$triple" --profile "${PROFILE:-release}" --no-strip --output dist/
    test "$(dpkg-deb -f dist/*_"$architecture".deb Architecture)" = "$architecture"

    folder=$(mktemp -d)
    name=energi-gateway-$version-linux-$architecture
    mkdir "$folder/$name"
    built=$(dirname "$dynamic")
    install -m 755 "$static" "$folder/$name/energi-gateway"
    cp -r "$built/manual" "$built/completions" "$folder/$name/"
    mkdir -p "$folder/$name/examples/captures"
    cp examples/captures/eddi-day.pcapng.gz "$folder/$name/examples/captures/"
    cp LICENSE README.md config.example.yaml packaging/energi-gateway.service "$licences" "$folder/$name/"
    chmod -R u=rwX,go=rX "$folder/$name"
    archive "$folder" "$name"
    rm -rf "$folder"
done

cd dist
sha256sum -- * > ../SHA256SUMS
mv ../SHA256SUMS .
cat SHA256SUMS
