"""Certificates from files: PEM with anything around it, bundles, and DER."""

from __future__ import annotations

import base64
import binascii
import re

from inspector.errors import UnreadableError
from inspector.tracking.certificates import parse

PEM = re.compile(
    rb"-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----(.*?)-----END (?:X509 |TRUSTED )?CERTIFICATE-----", re.DOTALL
)
CAPTURE_MAGIC = re.compile(
    rb"\xd4\xc3\xb2\xa1|\xa1\xb2\xc3\xd4|\x4d\x3c\xb2\xa1|\xa1\xb2\x3c\x4d|\x34\xcd\xb2\xa1|\xa1\xb2\xcd\x34|\x0a\x0d\x0d\x0a|\x1f\x8b|\x28\xb5\x2f\xfd|BZh\d|\xfd7zX",
    re.DOTALL,
)
"""How captures begin, compressed ones too."""

MOST_BYTES = 64 << 20
SEQUENCE = b"\x30"


def read_certificate_file(path: str) -> list[bytes]:
    """The DER certificates of a file, in its order. Raises UnreadableError where there is none."""
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES)
    except OSError as error:
        raise UnreadableError(f"{path}: {error.strerror or error}") from None
    certificates = [_decoded(block, path) for block in PEM.findall(data)]
    if not certificates and data.startswith(SEQUENCE):
        certificates = [data]
    for der in certificates:
        problem = parse(der).problem
        if problem is not None and problem.kind == "structure":
            raise UnreadableError(f"{path}: not a certificate: its bytes are none, or not all of one")
    if not certificates:
        raise UnreadableError(
            f"{path}: no certificate in this file", "inspector compare reads PEM, DER, bundles of PEM, and captures"
        )
    return certificates


def _decoded(block: bytes, path: str) -> bytes:
    try:
        return base64.b64decode(b"".join(block.split()), validate=True)
    except binascii.Error as error:
        raise UnreadableError(f"{path}: damaged PEM: {error}") from None
