"""Certificates as those who collect logs want them: by their fields, which are read of the DER once more."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from inspector.tls.x509.certificate import Reading, read_certificate

REMEMBERED = 512
"""Certificates that are not read again."""


class CertificateFields:
    """Of the certificates of one case."""

    def __init__(self, encoded: Mapping[bytes, bytes]) -> None:
        """``encoded``: DER, by SHA-256."""
        self._encoded = encoded
        self._reading = lru_cache(REMEMBERED)(lambda digest: read_certificate(encoded[digest]))

    def get(self, digest: bytes) -> Reading | None:
        """What can be read of it; None where it was not captured."""
        return self._reading(digest) if digest in self._encoded else None
