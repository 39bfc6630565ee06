"""A certificate as ``x509`` fields of the Elastic Common Schema."""

from __future__ import annotations

from collections.abc import Iterator

from inspector.reports.ecs.event import Fields, known
from inspector.text.times import rfc3339_signed
from inspector.tls.x509.certificate import Reading
from inspector.tls.x509.distinguished_names import Name, readable
from inspector.tls.x509.public_keys import DSA, EC, RSA, RSA_PSS

ALGORITHMS = {RSA: "RSA", RSA_PSS: "RSASSA-PSS", EC: "EC", DSA: "DSA"}

ATTRIBUTES = {
    "common_name": "2.5.4.3",
    "country": "2.5.4.6",
    "locality": "2.5.4.7",
    "state_or_province": "2.5.4.8",
    "organization": "2.5.4.10",
    "organizational_unit": "2.5.4.11",
}
"""Parts of a name, by the object identifier of each."""


def shown_certificate(reading: Reading, digest: bytes) -> Fields:
    """What stands below ``tls.server`` or ``tls.client`` for the certificate of that side."""
    fields: Fields = {"hash": {"sha256": digest.hex().upper()}}
    for field, name in (("subject", reading.subject), ("issuer", reading.issuer)):
        if name:
            fields[field] = readable(name)
    fields |= _validity(reading)
    x509 = _x509(reading)
    if x509:
        fields["x509"] = x509
    return fields


def _validity(reading: Reading) -> Fields:
    times = {"not_before": reading.not_before, "not_after": reading.not_after}
    return {name: rfc3339_signed(ns) for name, ns in times.items() if ns is not None}


def _x509(reading: Reading) -> Fields:
    key = reading.key
    return known(
        {
            "serial_number": f"{reading.serial:X}" if reading.serial is not None else None,
            "subject": _parts(reading.subject),
            "issuer": _parts(reading.issuer),
            "version_number": f"{reading.version}" if reading.version is not None else None,
            "alternative_names": [
                *reading.names.dns,
                *reading.names.ips,
                *reading.names.emails,
                *reading.names.uris,
            ],
            "signature_algorithm": reading.signature or None,
            "public_key_algorithm": ALGORITHMS.get(key.algorithm, key.text) if key is not None else None,
            "public_key_size": key.bits if key is not None else None,
            "public_key_exponent": key.exponent if key is not None else None,
            "public_key_curve": (key.curve or None) if key is not None else None,
            **_validity(reading),
        }
    )


def _parts(name: Name | None) -> Fields | None:
    if not name:
        return None
    parts = {field: [*_values(name, oid)] for field, oid in ATTRIBUTES.items()}
    return known({"distinguished_name": readable(name), **parts})


def _values(name: Name, oid: str) -> Iterator[str]:
    return (attribute.text for relative in name for attribute in relative if attribute.oid == oid)
