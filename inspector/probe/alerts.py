"""Whether an error of OpenSSL is an alert that the other side sent, or its own."""

from __future__ import annotations

import re

from inspector.tls.registry import ALERTS

RECEIVED = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(ALERT_)?([A-Z_]+)")
"""``sslerr.h``: reasons from 1000 on are alerts that were received, named so; those of extensions (RFC 6066, section 9)
without ``ALERT_``.
"""


def received_alert(reason: str) -> str:
    """Its name as in RFC 8446, section 6; "" where OpenSSL itself gave up."""
    matched = RECEIVED.fullmatch(reason)
    if matched is None:
        return ""
    name = matched[2].lower()
    return name if matched[1] or name in ALERTS.values() else ""
