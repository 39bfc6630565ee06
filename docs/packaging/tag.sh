#!/bin/sh
# tag.sh TAG: says whether TAG may be released. The version stands in inspector/text/version.py, where a clone without tags, a source archive and
# the running program have it; a tag that names another, or whose changes are still "not yet released", is refused.
set -eu
cd "$(dirname "$0")/../.."
version=$(sed -n 's/^VERSION = "\(.*\)"$/\1/p' inspector/text/version.py)
[ "$1" = "v$version" ] || { echo "tag.sh: the version is $version, so the tag is v$version, not $1" >&2; exit 1; }
grep -Eq "^## $(echo "$version" | sed 's/\./\\./g'), [0-9]{4}-[0-9]{2}-[0-9]{2}\$" CHANGELOG.md ||
    { echo "tag.sh: CHANGELOG.md has no heading '## $version, YYYY-MM-DD'" >&2; exit 1; }
echo "$version"
