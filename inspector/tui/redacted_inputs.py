"""Whether what is open was redacted: nobody may be asked at addresses that were made up."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from inspector.capture.inputs import find, is_facts, is_journal
from inspector.capture.redacted import is_marked_redacted
from inspector.errors import InspectorError
from inspector.system.plain_file import open_plain


def is_any_redacted(paths: Sequence[str]) -> bool:
    """Whether a capture, or a directory of facts, says so; what cannot be read says nothing."""
    return any(map(_is_redacted, paths))


def _is_redacted(path: str) -> bool:
    if is_facts(path):
        from inspector.extract.tables.manifest import parts_of

        with contextlib.suppress(InspectorError):
            return any(manifest.redaction for manifest in parts_of(path).manifests)
        return False
    if path == "-" or is_journal(path):
        return False
    try:
        files = find([path])
    except InspectorError:
        return False
    return any(map(_says_so, files))


def _says_so(file: str) -> bool:
    try:
        with open_plain(file) as capture:
            return is_marked_redacted(capture)
    except OSError:
        return False
