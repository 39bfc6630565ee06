"""How often and how fast a probe asks: what is polite where nothing else is said, and what is the most."""

from __future__ import annotations

from inspector.errors import UsageError

CONNECTIONS, PER_SECOND, AT_ONCE = 60, 5, 4
"""Where nothing else is asked for: 12 seconds, which a service in use does not notice."""

MOST_CONNECTIONS, MOST_PER_SECOND, MOST_AT_ONCE = 10_000, 1000, 50

POLITE_PER_SECOND = 50
"""More is refused but by those who say that the servers are theirs."""

MOST_SECONDS = 10
"""No connection lasts longer."""


def require_polite(per_second: float, *, owns_servers: bool) -> None:
    """Raises UsageError where more is asked for than a stranger should do."""
    if per_second > POLITE_PER_SECOND and not owns_servers:
        raise UsageError(
            f"--rate {per_second:g}: more than {POLITE_PER_SECOND:g} connections a second",
            "where these are your own servers, say so by --i-own-this",
        )
