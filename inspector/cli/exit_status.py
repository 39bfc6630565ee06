"""The exit statuses of the commands, as docs/reference/exit-status.md lists them."""

FINDINGS = 1
"""Findings of the severity that was asked for; or a report that does not hold."""

USAGE, INCOMPLETE, NOT_PERMITTED = 2, 3, 4

SIGNALLED = 128
"""And the number of a signal, as shells have it."""

INTERRUPTED, READER_LEFT = SIGNALLED + 2, SIGNALLED + 13
