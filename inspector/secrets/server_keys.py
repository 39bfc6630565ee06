"""RSA keys of servers, which open connections whose key exchange is RSA encryption (RFC 5246, section 7.4.7.1) and no
other.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_public_key, load_pem_private_key

from inspector.errors import UsageError
from inspector.secrets.core_dumps import leave_no_core_dumps
from inspector.text.safe import path_text
from inspector.tls.x509.certificate import subject_public_key_info

LONGEST_PEM = 1 << 20


class ServerKey:
    """A private key, found by the certificate that it belongs to."""

    def __init__(self, key: rsa.RSAPrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_numbers()

    def belongs_to(self, der: bytes) -> bool:
        """Whether a certificate has this key."""
        encoded = subject_public_key_info(der)
        try:
            public = load_der_public_key(encoded) if encoded is not None else None
        except (ValueError, UnsupportedAlgorithm):
            return False
        return isinstance(public, rsa.RSAPublicKey) and public.public_numbers() == self._public

    def premaster_secret(self, encrypted: bytes) -> bytes | None:
        """The premaster secret of a ClientKeyExchange; None where the key does not fit."""
        try:
            premaster = self._key.decrypt(encrypted, padding.PKCS1v15())
        except ValueError:
            return None
        return premaster if len(premaster) == 48 else None


def read_server_key(path: str, ask: Callable[[str], str]) -> ServerKey:
    """A PEM file's RSA key. ``ask``: called with a prompt where it is encrypted. Raises UsageError where it is no such
    file.
    """
    leave_no_core_dumps()
    name = path_text(path)
    try:
        with Path(path).open("rb") as file:
            pem = file.read(LONGEST_PEM)
    except OSError as error:
        raise UsageError(f"{name}: {error.strerror}") from None
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:
        try:
            key = load_pem_private_key(pem, ask(f"Passphrase of {name}").encode())
        except (ValueError, UnsupportedAlgorithm):
            raise UsageError(f"{name}: the passphrase does not open it") from None
    except (ValueError, UnsupportedAlgorithm):
        raise UsageError(f"{name}: not a private key in PEM") from None
    if not isinstance(key, rsa.RSAPrivateKey):
        raise UsageError(
            f"{name}: not an RSA key; only RSA key exchange can be opened with a server's key",
            "a key log opens every kind: see docs/how-to/decrypt.md",
        )
    return ServerKey(key)
