"""What the connections of an extraction share: where certificates are kept, and who opens encrypted records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from inspector.errors.decryption import NotDecrypted
from inspector.facts import ConnectionFacts, PackedEndpoint
from inspector.tls.sink import Mark

if TYPE_CHECKING:
    from inspector.secrets.lanes import DecryptionClient


class CertificateStore(Protocol):
    """Keeps DER certificates, and lists of the authorities that servers accept, by digest."""

    def chain(self, body: bytes, *, is_tls13: bool = False) -> tuple[bytes, ...]: ...

    def authorities(self, body: bytes, version: int) -> bytes: ...


class RecordDecryptor(Protocol):
    """Opens encrypted records and tells the connection what is in them."""

    def on_clear_message(self, lane: int, kind: int, body: bytes) -> None: ...

    def record(self, lane: int, kind: int, version: int, body: bytes | None, mark: Mark) -> None: ...

    def broken(self, lane: int) -> None: ...

    def outcome(self) -> tuple[NotDecrypted | Literal[""], tuple[int, int]]: ...

    def close(self) -> None: ...


class Store(CertificateStore, Protocol):
    """Where certificates are kept, and secrets looked for."""

    def certificate(self, digest: bytes) -> bytes | None: ...

    @property
    def has_secrets(self) -> bool: ...

    def channel(self, connection: DecryptionClient) -> RecordDecryptor | None: ...


class ConnectionStore(Store, Protocol):
    """Where connections are kept whose facts are known at once."""

    def endpoint(self, end: int) -> PackedEndpoint: ...

    def pack(self, connection: ConnectionFacts) -> bytes: ...

    def unpack(self, packed: bytes) -> ConnectionFacts: ...

    def completed(self, packed: bytes, *, is_early: bool) -> None: ...


class RecordDecryptors(Protocol):
    """Secrets, as far as the engine knows of them."""

    def channel(self, connection: DecryptionClient) -> RecordDecryptor: ...
