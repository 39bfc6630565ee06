"""An inventory of certificates of which each is read when it is asked for.

Strangers send as many as they like, and a verdict looks at few of them: at leaves, and whether Java can parse what came
with them. What was read takes several times the bytes that it was read from, so it is remembered up to so many bytes,
what was asked for last; whether Java refuses a certificate is remembered much longer, for that is asked of all.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from inspector import bounds
from inspector.tls.x509.certificate import certificate_memory
from inspector.tracking.certificates import ParsedCertificate, parse


class CertificateReader:
    """Reads certificates and remembers them. ``most_bytes``: of memory."""

    def __init__(self, most_bytes: int) -> None:
        self._most = most_bytes
        self._bytes = 0
        self._read: OrderedDict[bytes, tuple[ParsedCertificate, int]] = OrderedDict()
        """The one that was asked for last stands last."""
        self._refused: dict[bytes, bool] = {}

    def read(self, digest: bytes, der: bytes) -> ParsedCertificate:
        """A certificate. ``digest``: what names these bytes."""
        known = self._read.get(digest)
        if known is not None:
            self._read.move_to_end(digest)
            return known[0]
        certificate = parse(der)
        size = certificate_memory(der)
        self._read[digest] = (certificate, size)
        self._bytes += size
        while self._bytes > self._most and len(self._read) > 1:
            _, (_, size) = self._read.popitem(last=False)
            self._bytes -= size
        return certificate

    def is_refused(self, digest: bytes, der: bytes) -> bool:
        """Whether no Java can parse it."""
        known = self._refused.get(digest)
        if known is None:
            if len(self._refused) >= bounds.CERTIFICATES:
                self._refused.clear()
            known = self._refused[digest] = self.read(digest, der).is_read_by_java is False
        return known

    def forget(self, digests: Iterable[bytes]) -> None:
        """Certificates that are not asked for any more."""
        for digest in digests:
            self._refused.pop(digest, None)
            _, size = self._read.pop(digest, (None, 0))
            self._bytes -= size


READER = CertificateReader(bounds.READ_BYTES)
"""Of whatever does not bring its own."""


class Certificates(Mapping[bytes, ParsedCertificate]):
    """By SHA-256. ``encoded``: their DER."""

    def __init__(self, encoded: Mapping[bytes, bytes], reader: CertificateReader = READER) -> None:
        self._encoded = encoded
        self._reader = reader

    def __getitem__(self, digest: bytes) -> ParsedCertificate:
        return self._reader.read(digest, self._encoded[digest])

    def __contains__(self, digest: object) -> bool:
        return digest in self._encoded

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._encoded)

    def __len__(self) -> int:
        return len(self._encoded)

    def first_refused(self, digests: Iterable[bytes]) -> ParsedCertificate | None:
        """The first of some that no Java can parse."""
        for digest in digests:
            der = self._encoded.get(digest)
            if der is not None and self._reader.is_refused(digest, der):
                return self[digest]
        return None
