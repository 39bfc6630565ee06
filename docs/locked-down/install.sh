#!/bin/sh
# install.sh [DIRECTORY]: unpacks the wheels beside it into DIRECTORY, /opt/inspector by default, and writes DIRECTORY/bin/inspector.
# No network, no compiler, no pip. To take it away again, remove DIRECTORY.
set -eu
umask 022 # others, the user that capturing falls back to among them, must be able to read it
here=$(cd "$(dirname "$0")" && pwd)
target=${1:-/opt/inspector}

fail() { echo "install.sh: $1" >&2; exit 1; }

machine=$(uname -m)
[ "$(uname -s)" = Linux ] || fail "these wheels are for Linux, not $(uname -s)"
set -- "$here/$machine"-3.*
[ -d "$1" ] || fail "these wheels are for another machine than $machine"
python=
for candidate in "${PYTHON:-}" python3.14 python3.13 python3.12 python3.11 python3; do
    [ -n "$candidate" ] || continue
    found=$(command -v "$candidate" || true)
    [ -n "$found" ] || continue
    minor=$("$found" -c 'import sys; print(sys.version_info[1] if sys.version_info[0] == 3 else 0)' 2>/dev/null || echo 0)
    if [ -d "$here/$machine-3.$minor" ]; then python=$found; break; fi
done
[ -n "$python" ] || fail "Python 3.11 to 3.14 is needed (RHEL 8: dnf install python3.11); PYTHON=/path/to/python names one"
(cd "$here" && sha256sum --quiet -c SHA256SUMS) || fail "files are damaged: unpack the archive again"

[ ! -e "$target/lib" ] || [ -f "$target/lib/inspector/__init__.py" ] || fail "$target/lib is not this program's: name a directory of its own"
rm -rf "${target:?}/lib.new" # of a run that did not end
mkdir -p "$target/bin" "$target/lib.new" 2>/dev/null || fail "$target cannot be written: name another directory, or use sudo"
target=$(cd "$target" && pwd) # the launcher is found from anywhere
printf '#!/bin/sh\nexit 0\n' >"$target/bin/.try"
chmod 755 "$target/bin/.try"
"$target/bin/.try" 2>/dev/null || { rm -f "$target/bin/.try"; fail "$target lies on a file system mounted noexec, where no library can be loaded: name another directory"; }
rm -f "$target/bin/.try"

"$python" -I - "$here/$machine-3.$minor" "$target/lib.new" <<'UNPACK'
import pathlib, sys, zipfile
wheels, target = map(pathlib.Path, sys.argv[1:])
for wheel in sorted(wheels.glob("*.whl")):
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
UNPACK
"$python" -I -m compileall -qq -j 0 "$target/lib.new" || true # what cannot be compiled is read as it is
"$python" -I -c 'import sys; sys.path.insert(0, sys.argv.pop(1)); from inspector.cli import run; run()' "$target/lib.new" demo >/dev/null ||
    fail "it does not run here; what was installed before is as it was"
rm -rf "${target:?}/lib"
mv "$target/lib.new" "$target/lib"
"$python" -I - "$target" <<'LAUNCHER'
import pathlib, sys
target = sys.argv[1]
if any(letter.isspace() for letter in sys.executable):
    sys.exit(f"install.sh: {sys.executable!r} cannot stand in a first line, for the spaces in it: PYTHON=/path/to/python names another")
path = f"{target}/lib"
text = f"#!{sys.executable} -I\nimport sys\nsys.path.insert(0, {path!r})\nfrom inspector.cli import run\nrun()\n"
pathlib.Path(target, "bin", "inspector").write_text(text)
LAUNCHER
chmod 755 "$target/bin/inspector"
"$target/bin/inspector" --version
echo "installed: $target/bin/inspector"
