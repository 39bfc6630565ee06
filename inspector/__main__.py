"""``python -m inspector`` is ``inspector``."""

from inspector.cli.commands import main

main()
