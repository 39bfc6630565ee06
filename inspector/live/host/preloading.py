"""Everything that may be needed is loaded while this process may still read it: Python itself may lie where the user
that it becomes may not look.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

PACKAGE = Path(__file__).parent.parent.parent
CODECS = ("ascii", "idna", "latin_1", "punycode", "unicode_escape", "utf_16", "utf_16_be", "utf_16_le", "utf_32_be")
"""Encodings in which something that is read may be written."""

CAPTURE = (
    "concurrent.futures.thread",
    "numpy.ma",
    "statistics",
    "zoneinfo",
    *(f"encodings.{codec}" for codec in CODECS),
)
"""What is loaded late beside our own modules."""

SECRETS = ("inspector.secrets", "inspector.live.sources.growing_keys")
"""What opens encrypted records. It takes some memory, and is loaded where there are keys alone."""

APP = (
    "inspector.tui",
    "inspector.bundle",
    "cryptography.hazmat.primitives.asymmetric.ec",
    "cryptography.hazmat.primitives.serialization",
    "textual.drivers.linux_driver",
    "textual.layouts",
    "textual.system_commands",
    "rich",
)
"""What the terminal app needs beside the capture."""

LAZY = ("textual.widgets",)
"""Packages that load what they name when it is asked for."""

NEVER = (
    "__main__",
    "sniff",
    "growing_keys",
    "metrics_endpoint",
    "metrics_exchange",
    "metrics_snapshot",
    "fleet",
    "tables",
    "sql",
    "tests",
    "mbcs",
    "oem",
    "_win32_console",
    "_windows_renderer",
)
"""Programs, tests of libraries, what is of another system; and what is loaded for itself."""


def program() -> list[str]:
    """Files that whoever runs this must be able to read: Python, its library and its extensions, this program and what
    it needs.
    """
    library = Path(importlib.__file__).parent.parent
    files = [sys.executable, importlib.__file__, *sorted(map(str, library.glob("lib-dynload/*.so")))[:1], __file__]
    specs = [find_spec(name) for name in ("numpy", "msgspec", "cryptography")]
    return [*files, *(spec.origin for spec in specs if spec is not None and spec.origin)]


def preload(packages: Iterable[str] = ()) -> None:
    """Load the modules of a capture without secrets, and ``packages`` with all that is in them."""
    names = [
        f"inspector.{module.name}"
        for module in pkgutil.iter_modules([str(PACKAGE)])
        if module.name not in ("tui", "bundle", "secrets", *NEVER)
    ]
    for name in (*names, *CAPTURE, *packages):
        _load(name)
    for name in LAZY:
        if name in sys.modules:
            for member in getattr(sys.modules[name], "__all__", ()):
                getattr(sys.modules[name], member)


def _load(name: str) -> None:
    module = importlib.import_module(name)
    for inner in pkgutil.iter_modules(getattr(module, "__path__", ()), f"{name}."):
        if inner.name.rpartition(".")[2] not in NEVER:
            _load(inner.name)
