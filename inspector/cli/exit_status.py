"""The exit statuses of the commands, as docs/reference/exit-status.md lists them."""

FINDINGS = 1
"""Findings of the severity that was asked for; or a report that does not hold."""

USAGE, INCOMPLETE, NOT_PERMITTED, INTERRUPTED, TERMINATED = 2, 3, 4, 130, 143
