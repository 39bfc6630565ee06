"""Whether an error of OpenSSL is an alert that the other side sent, or its own."""

from __future__ import annotations

import re

RECEIVED = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_ALERT_([A-Z_]+)")
"""``sslerr.h``: reasons from 1000 on are alerts that were received, named so."""


def received_alert(reason: str) -> str:
    """Its name as in RFC 8446, section 6; "" where OpenSSL itself gave up."""
    matched = RECEIVED.fullmatch(reason)
    return matched[1].lower() if matched else ""
