"""What Zeek and the Elastic Common Schema ask of a handshake with a yes or no; None where the capture does not say."""

from __future__ import annotations

from inspector.tracking.observed import Observed


def is_established(observed: Observed) -> bool | None:
    """Whether the first handshake was completed, whatever became of a later one inside."""
    if observed.outcome == "established" or observed.is_completed:
        return True
    return False if observed.outcome == "aborted" else None


def is_resumed(observed: Observed) -> bool | None:
    """Whether the server went on with what the client offered of an earlier handshake: an id, a ticket, a pre-shared
    key.
    """
    return None if observed.kind is None else observed.kind != "full"
