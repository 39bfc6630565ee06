"""The rules: all that a finding can be about, in one list. What each says stands in the reference of rules, under a
heading of its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

Severity = Literal["high", "medium", "low", "info"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low", "info")


class Rule(StrEnum):
    """The name of a rule, as documents and filters write it."""

    CERTIFICATE_CHANGE_ABORT = "certificate-change-abort"
    CERTIFICATE_CHANGE_TOLERATED = "certificate-change-tolerated"
    CERTIFICATE_CHANGE_EXPOSED = "certificate-change-exposed"
    RENEGOTIATION = "renegotiation"
    RENEGOTIATION_CERTIFICATE_CHANGED = "renegotiation-certificate-changed"
    RENEGOTIATION_ABORTED = "renegotiation-aborted"
    TRIPLE_HANDSHAKE_EXPOSURE = "triple-handshake-exposure"
    POOL_DRIFT = "pool-drift"
    CERTIFICATE_ROTATED = "certificate-rotated"
    CERTIFICATE_EXPIRED = "certificate-expired"
    CERTIFICATE_EXPIRES_SOON = "certificate-expires-soon"
    HANDSHAKE_FAILED = "handshake-failed"
    STALE_CONNECTION_USED = "stale-connection-used"
    RESUMPTION_LOST = "resumption-lost"
    CONFLICTING_SEGMENTS = "conflicting-segments"
    CAPTURE_INCOMPLETE = "capture-incomplete"


SEVERITY: Mapping[Rule, Severity] = {
    Rule.CERTIFICATE_CHANGE_ABORT: "high",
    Rule.CERTIFICATE_CHANGE_TOLERATED: "low",
    Rule.CERTIFICATE_CHANGE_EXPOSED: "medium",
    Rule.RENEGOTIATION: "info",
    Rule.RENEGOTIATION_CERTIFICATE_CHANGED: "high",
    Rule.RENEGOTIATION_ABORTED: "high",
    Rule.TRIPLE_HANDSHAKE_EXPOSURE: "medium",
    Rule.POOL_DRIFT: "info",
    Rule.CERTIFICATE_ROTATED: "info",
    Rule.CERTIFICATE_EXPIRED: "high",
    Rule.CERTIFICATE_EXPIRES_SOON: "low",
    Rule.HANDSHAKE_FAILED: "medium",
    Rule.STALE_CONNECTION_USED: "medium",
    Rule.RESUMPTION_LOST: "info",
    Rule.CONFLICTING_SEGMENTS: "medium",
    Rule.CAPTURE_INCOMPLETE: "info",
}
"""How severe what a rule says is, where nothing about the case makes it another."""

OF_CERTIFICATES = frozenset(
    (Rule.CERTIFICATE_EXPIRED, Rule.CERTIFICATE_EXPIRES_SOON, Rule.CERTIFICATE_ROTATED, Rule.POOL_DRIFT)
)
"""What shows as soon as the certificates of the pool do, however few connections there are."""

OF_CONNECTIONS = frozenset(("latency", "sni"))
"""Matters of ``pool-drift`` that take connections to show, and no certificates."""

OF_STATE = frozenset((Rule.CERTIFICATE_CHANGE_ABORT, Rule.CERTIFICATE_CHANGE_EXPOSED))
"""What is gone where the service is protected."""

BESIDE = OF_CERTIFICATES | {Rule.CERTIFICATE_CHANGE_EXPOSED}
"""What is told of a service beside the incidents that a report is about."""

NOT_COMPARED = frozenset((Rule.CAPTURE_INCOMPLETE, Rule.RENEGOTIATION))
"""About a capture, or about what is no fault: no problem that a change could mend."""
