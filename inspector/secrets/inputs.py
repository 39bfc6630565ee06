"""What was given to open records with, before anything is read: key logs and servers' keys; and the secrets that
captures bring themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from inspector import bounds
from inspector.errors import UsageError
from inspector.errors.notice import PathText
from inspector.errors.secrets import SecretsBlocksNotRead, SecretsProblem
from inspector.secrets.channel import Channels
from inspector.secrets.core_dumps import leave_no_core_dumps
from inspector.secrets.server_keys import ServerKey, read_server_key
from inspector.secrets.store import Secrets
from inspector.text.safe import path_text

TLS_KEY_LOG = (b"KSLT", b"TLSK")
"""The type of a Decryption Secrets Block that holds a key log, in both byte orders (draft-ietf-opsawg-pcapng, section
4.7).
"""

LONGEST_KEY_LOG = 1 << 30


class SecretInputs:
    """``key_logs``: name and content. Only those go to another process."""

    def __init__(self, key_logs: Sequence[tuple[str, bytes]] = (), server_keys: Sequence[ServerKey] = ()) -> None:
        self.key_logs = tuple(key_logs)
        self.server_keys = tuple(server_keys)

    @cached_property
    def secrets(self) -> Secrets:
        """All of it, and what captures add while they are read."""
        store = Secrets(self.server_keys)
        for name, content in self.key_logs:
            store.add(content, name)
        return store

    @classmethod
    def of(cls, secrets: Secrets) -> SecretInputs:
        """What is known already."""
        inputs = cls()
        inputs.secrets = secrets
        return inputs

    @property
    def is_empty(self) -> bool:
        """Whether nothing was given."""
        return not self.key_logs and not self.server_keys and "secrets" not in self.__dict__

    def __reduce__(self) -> tuple[object, ...]:
        return SecretInputs, (self.key_logs,)


def read_inputs(key_logs: Sequence[str], server_keys: Sequence[str], ask: Callable[[str], str]) -> SecretInputs:
    """Read the files. ``ask``: called with a prompt for a passphrase. Raises UsageError where one cannot be read."""
    keys = tuple(read_server_key(path, ask) for path in server_keys)
    return SecretInputs(tuple((path, content_of(path)) for path in key_logs), keys)


def content_of(path: str) -> bytes:
    """A key log's bytes. Raises UsageError where it cannot be read."""
    leave_no_core_dumps()
    try:
        with Path(path).open("rb") as file:
            return file.read(LONGEST_KEY_LOG)
    except OSError as error:
        raise UsageError(f"{path_text(path)}: {error.strerror}") from None


class Supply:
    """Secrets for one reading of a story: what was given, and decryption secrets blocks as the captures bring them."""

    def __init__(self, begin: SecretInputs | None) -> None:
        self._inputs = begin or SecretInputs()
        self._bytes = 0
        """Of blocks that were read."""
        self._not_read: dict[str, int] = {}
        """Blocks of each capture that were not."""
        self.secrets: Secrets | None = None if self._inputs.is_empty else self._inputs.secrets

    def take(self, blocks: Sequence[bytes], missed: int, name: str) -> None:
        """The Decryption Secrets Blocks of a capture that came since, as far as they are no more than anybody writes
        into captures, and hold secrets. ``missed``: how many more there were that were not kept.
        """
        for block in blocks:
            if block[:4] not in TLS_KEY_LOG:
                continue
            self.secrets = self._inputs.secrets
            length = int.from_bytes(block[4:8], "little" if block[:4] == TLS_KEY_LOG[0] else "big")
            self._bytes += len(block)
            if self._bytes > bounds.SECRETS_BYTES or not self.secrets.add_foreign(block[8 : 8 + length], name):
                missed += 1
        if missed:
            self._not_read[name] = self._not_read.get(name, 0) + missed

    @property
    def channels(self) -> Channels | None:
        """What opens records with them, as an engine asks it; None where there are none yet."""
        return Channels(self.secrets) if self.secrets is not None else None

    def problems(self) -> list[SecretsProblem]:
        """What was wrong with them."""
        not_read = [SecretsBlocksNotRead(PathText(path_text(path)), n) for path, n in self._not_read.items()]
        return [*(self.secrets.problems.values() if self.secrets is not None else ()), *not_read]
