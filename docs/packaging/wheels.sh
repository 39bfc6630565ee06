#!/bin/sh
# wheels.sh BIN OUT [MACHINE-3.MINOR...]: the program and all that it needs as wheels, a folder OUT/x86_64-3.11 and so on
# for each machine and Python. Made for Linux with glibc 2.28 or later; versions are those that the tests run with.
# BIN is where python (with pip, build and hatchling) and uv are. Needs a package index, once.
#
# uv says what is needed, for pip judges markers by the machine that it runs on; pip brings it, checked against the
# index's hashes. requirements.txt in each folder has the hashes of what was brought.
set -eu
bin=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- x86_64-3.11 x86_64-3.12 x86_64-3.13 x86_64-3.14 aarch64-3.11 aarch64-3.12 aarch64-3.13 aarch64-3.14
root=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

"$bin/python" -m build --wheel --no-isolation --outdir "$work" "$root" >/dev/null
rm -rf "${out:?}"/x86_64-3.* "${out:?}"/aarch64-3.*
own=$(echo "$work"/*.whl)
for set in "$@"; do
    machine=${set%-*} python=${set##*-}
    echo "vip-inspector @ file://$own" | "$bin/uv" pip compile --quiet --no-header --no-annotate --only-binary :all: --generate-hashes --no-emit-package vip-inspector \
        --python-version "$python" --python-platform "$machine-manylinux_2_28" --constraint "$root/requirements-test.lock" - >"$work/needed.txt"
    mkdir -p "$out/$set"
    "$bin/python" -m pip download --quiet --disable-pip-version-check --no-deps --require-hashes --only-binary=:all: --implementation cp \
        --python-version "$python" --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
        --dest "$out/$set" --requirement "$work/needed.txt"
    cp "$own" "$out/$set/"
    (
        cd "$out/$set"
        for wheel in *.whl; do
            version=${wheel#*-}
            echo "${wheel%%-*}==${version%%-*} --hash=sha256:$(sha256sum "$wheel" | cut -d ' ' -f 1)"
        done >requirements.txt
    )
done
