"""The key of redaction: kept by its owner, so that two bundles can be compared, and in no bundle."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from platformdirs import user_config_path

from inspector.errors import UsageError
from inspector.redaction.disguise import KEY_BYTES
from inspector.system.plain_file import read_whole
from inspector.text.safe import path_text

SHORTEST = 16
MOST_BYTES = 64 << 10


def default_path() -> Path:
    """Beside the settings."""
    return user_config_path("inspector") / "redaction.key"


def load(path: str | None = None) -> tuple[bytes, Path, bool]:
    """The key, where it lies, and whether it was made just now. Raises UsageError where a file is named that holds
    none, or none can be kept.
    """
    key_path = Path(path) if path else default_path()
    try:
        if key_path.exists():
            key = read_whole(key_path, MOST_BYTES).strip()
            if len(key) < SHORTEST:
                raise UsageError(f"{path_text(str(key_path))}: no key: shorter than {SHORTEST} bytes")
            return key, key_path, False
        key_path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        key = secrets.token_hex(KEY_BYTES).encode()
        with open(os.open(key_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
            out.write(key + b"\n")
    except OSError as error:
        raise UsageError(
            f"{path_text(str(key_path))}: {error.strerror or error}", "--redact-key FILE keeps it elsewhere"
        ) from None
    return key, key_path, True
