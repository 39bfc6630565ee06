#!/bin/sh
# make.sh OUT WHEELS: an archive for each machine with the program and all that it needs, as wheels for Linux with glibc 2.28 or later, and an
# installer that uses no network. WHEELS is what docs/packaging/wheels.sh wrote.
set -eu
out=$1 wheels=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$root/inspector/text/version.py")
mkdir -p "$out"
for machine in x86_64 aarch64; do
    [ -n "$(find "$wheels" -maxdepth 1 -name "$machine-3.*")" ] || continue
    name=inspector-$version-linux-$machine
    mkdir "$work/$name"
    cp -r "$wheels/$machine"-3.* "$here/install.sh" "$root/LICENSE" "$root/docs/how-to/locked-down.md" "$work/$name/"
    chmod 755 "$work/$name/install.sh"
    (
        cd "$work/$name"
        # Wheels for any Python are there once, and linked: they have one name and one content.
        for wheel in "$machine"-3.*/*.whl; do
            first=$(find "$machine"-3.* -name "${wheel#*/}" | LC_ALL=C sort | head -n 1)
            [ "$first" = "$wheel" ] || ln -f "$first" "$wheel"
        done
        find "$machine"-3.* -type f | LC_ALL=C sort | xargs sha256sum >SHA256SUMS
    )
    tar -C "$work" -czf "$out/$name.tar.gz" "$name"
    ls -l "$out/$name.tar.gz"
done
