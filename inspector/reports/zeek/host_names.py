"""Whether a certificate is for a host by Zeek's rule (its ``x509_check_cert_hostname``), which is not that of clients:
letters count as they are written, a wildcard may stand behind other characters of the first label, and not below a
top-level domain.
"""

from __future__ import annotations

from inspector.tls.x509.certificate import Reading
from inspector.tls.x509.general_names import NO_NAMES

COMMON_NAME = "2.5.4.3"
WILDCARD = "*."


def is_for_host(reading: Reading, host: str) -> bool:
    """By its DNS names; where it has no alternative names at all, by its last common name."""
    if reading.names != NO_NAMES:
        return any(is_name_of(host, name) for name in reading.names.dns)
    common = [a.text for relative in reading.subject or () for a in relative if a.oid == COMMON_NAME]
    return bool(common) and is_name_of(host, common[-1])


def is_name_of(host: str, name: str) -> bool:
    """``name``: of a certificate."""
    if host == name:
        return True
    head, wildcard, parent = name.partition(WILDCARD)
    is_first_label = bool(wildcard) and "." not in head and "*" not in head
    return is_first_label and "." in parent and host.partition(".")[2] == parent and host.startswith(head)
