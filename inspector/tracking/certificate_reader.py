"""An inventory of certificates of which each is read when it is asked for.

Strangers send as many as they like, and a verdict looks at few of them: at leaves, and whether Java can parse what came
with them. What was read takes several times the bytes that it was read from, so it is remembered up to so many bytes;
whether Java refuses a certificate is remembered much longer, for that is asked of all.

A judgement goes through all leaves again and again. If what was asked for last pushed out what was asked for first,
none would be remembered when its turn comes where they are a few more than there is room for. So what was read in a
judgement stays to its end, as far as there is room; what only earlier judgements asked for goes first. What comes then
has a part of the room, in which it is pushed out, for most is asked for several times at once.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping

from inspector import bounds
from inspector.tracking.certificates import ParsedCertificate, parse

PASSING_SHARE = 4
"""All room divided by this is for those that pass."""

REFUSED_SHARE = 4
"""Room for certificates divided by this is what answers take whether Java refuses one, beside it."""

REFUSED_BYTES = 160
"""What an answer takes: a digest, and its place in a table."""

FEWEST_PASSING = 2
"""As many are remembered whatever they take: certificates are compared by two."""


class CertificateReader:
    """Reads certificates and remembers them. ``most_bytes``: of memory that they take."""

    def __init__(self, most_bytes: int) -> None:
        self._most_passing = most_bytes // PASSING_SHARE
        self._most = most_bytes - self._most_passing
        self._bytes = 0
        self._earlier: OrderedDict[bytes, ParsedCertificate] = OrderedDict()
        """Those that earlier judgements asked for, and this one has not; the longest forgotten one stands first."""

        self._read: OrderedDict[bytes, ParsedCertificate] = OrderedDict()
        """Those that this one asked for."""

        self._passing: OrderedDict[bytes, ParsedCertificate] = OrderedDict()
        self._passing_bytes = 0
        """The same for which there was no room beside them; the one that was read first stands first."""
        self._most_refused = most_bytes // REFUSED_SHARE // REFUSED_BYTES
        self._refused: dict[bytes, bool] = {}

    def read(self, digest: bytes, der: bytes) -> ParsedCertificate:
        """A certificate. ``digest``: what names these bytes."""
        known = self._read.get(digest) or self._passing.get(digest)
        if known is not None:
            return known
        certificate = self._earlier.pop(digest, None)
        if certificate is None:
            certificate = parse(der)
            size = certificate.memory()
            while self._earlier and self._bytes + size > self._most:
                _, gone = self._earlier.popitem(last=False)
                self._bytes -= gone.memory()
            if self._bytes + size > self._most and self._read:
                return self._pass(digest, certificate, size)
            self._bytes += size
        self._read[digest] = certificate
        return certificate

    def _pass(self, digest: bytes, certificate: ParsedCertificate, size: int) -> ParsedCertificate:
        """Remember one for a while for which there is no room."""
        self._passing[digest] = certificate
        self._passing_bytes += size
        while self._passing_bytes > self._most_passing and len(self._passing) > FEWEST_PASSING:
            _, gone = self._passing.popitem(last=False)
            self._passing_bytes -= gone.memory()
        return certificate

    def begin(self) -> None:
        """Another judgement begins."""
        read, self._read = self._read, OrderedDict()
        self._earlier |= read
        self._passing, self._passing_bytes = OrderedDict(), 0

    def is_refused(self, digest: bytes, der: bytes) -> bool:
        """Whether no Java can parse it."""
        known = self._refused.get(digest)
        if known is None:
            if len(self._refused) >= self._most_refused:
                self._refused.clear()
            known = self._refused[digest] = self.read(digest, der).is_read_by_java is False
        return known

    def forget(self, digests: Iterable[bytes]) -> None:
        """Certificates that are not asked for any more."""
        for digest in digests:
            self._refused.pop(digest, None)
            gone = self._read.pop(digest, None) or self._earlier.pop(digest, None)
            if gone is not None:
                self._bytes -= gone.memory()
            passing = self._passing.pop(digest, None)
            if passing is not None:
                self._passing_bytes -= passing.memory()


READER = CertificateReader(bounds.READ_BYTES)
"""Of whatever does not bring its own."""


class Certificates(Mapping[bytes, ParsedCertificate]):
    """By SHA-256, as a judgement asks for them, which begins with this. ``encoded``: their DER."""

    def __init__(self, encoded: Mapping[bytes, bytes], reader: CertificateReader = READER) -> None:
        reader.begin()
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
