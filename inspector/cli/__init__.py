"""The commands: their options, exit status and progress. Everything else is imported inside functions, so that
``--help`` is quick.
"""

from __future__ import annotations


def run() -> None:
    """The ``inspector`` command."""
    from inspector.cli import commands

    commands.run()
