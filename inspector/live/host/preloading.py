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
CAPTURE = ("encodings", "concurrent.futures.thread", "numpy.ma", "statistics")
"""What is loaded late beside our own modules."""

APP = (
    "inspector.tui",
    "inspector.bundle",
    "textual.drivers.linux_driver",
    "textual.layouts",
    "textual.system_commands",
    "rich",
)
"""What the terminal app needs beside the capture."""

LAZY = ("textual.widgets",)
"""Packages that load what they name when it is asked for."""

NEVER = ("__main__", "sniff", "mbcs", "oem", "_win32_console", "_windows_renderer")
"""Programs, and what is of another system."""


def program() -> list[str]:
    """Files that whoever runs this must be able to read: Python, its library and its extensions, this program and what
    it needs.
    """
    library = Path(importlib.__file__).parent.parent
    files = [sys.executable, importlib.__file__, *sorted(map(str, library.glob("lib-dynload/*.so")))[:1], __file__]
    specs = [find_spec(name) for name in ("numpy", "msgspec", "cryptography")]
    return [*files, *(spec.origin for spec in specs if spec is not None and spec.origin)]


def preload(packages: Iterable[str] = ()) -> None:
    """Load all of the capture's modules, and ``packages`` with all that is in them."""
    names = [
        f"inspector.{module.name}"
        for module in pkgutil.iter_modules([str(PACKAGE)])
        if module.name not in ("tui", "bundle", *NEVER)
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
