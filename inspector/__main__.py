"""``python -m inspector`` is ``inspector``."""

from inspector.cli.main import main

main()
