#!/bin/sh
# make.sh PYTHON OUT: one archive with the program and all that it needs, as wheels for Linux on x86-64 (glibc 2.28 or later) and Python 3.11 and 3.12,
# and an installer that uses no network. Needs pip and a package index here, once.
set -eu
python=$1 out=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' "$root/inspector/text/version.py")
name=inspector-$version-linux-x86_64
mkdir -p "$work/$name" "$out"
"$python" -m build --wheel --outdir "$work/own" "$root" >/dev/null
for minor in 11 12; do
    "$python" -m pip download --quiet --disable-pip-version-check --only-binary=:all: --implementation cp --python-version "3.$minor" \
        --platform manylinux_2_28_x86_64 --platform manylinux_2_17_x86_64 --platform manylinux2014_x86_64 \
        --constraint "$root/requirements-test.lock" --dest "$work/$name/wheels-3.$minor" "$work"/own/*.whl
done
for wheel in "$work/$name"/wheels-3.12/*-none-any.whl; do # the same file for both
    ln -f "$work/$name/wheels-3.11/$(basename "$wheel")" "$wheel"
done
cp "$here/install.sh" "$root/LICENSE" "$root/docs/how-to/locked-down.md" "$work/$name/"
chmod 755 "$work/$name/install.sh"
(cd "$work/$name" && find wheels-* -type f | LC_ALL=C sort | xargs sha256sum >SHA256SUMS)
tar -C "$work" -czf "$out/$name.tar.gz" "$name"
ls -l "$out/$name.tar.gz"
