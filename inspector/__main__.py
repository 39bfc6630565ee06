"""``python -m inspector`` is ``inspector``."""

from inspector.cli.commands import run

run()
