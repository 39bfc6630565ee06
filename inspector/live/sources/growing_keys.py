"""Key logs that grow while the capture runs: whoever speaks TLS writes a secret a moment before or after the packets
that it opens.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import BinaryIO

from inspector.errors import UsageError
from inspector.errors.notice import ForeignText, PathText
from inspector.errors.secrets import KeyLogNotRead, SecretsProblem
from inspector.secrets.channel import Channels
from inspector.secrets.server_keys import read_server_key
from inspector.secrets.store import Secrets
from inspector.text.safe import path_text

AT_ONCE = 1 << 20
LONGEST_LINE = 1 << 12


class GrowingKeyLog:
    """One key log, followed also where it is written anew. It may not be there yet."""

    def __init__(self, path: str, secrets: Secrets) -> None:
        """Opened while this process may still read it. Raises UsageError where it is there and cannot be read."""
        self.problem: KeyLogNotRead | None = None
        self._path = path
        self._secrets = secrets
        self._rest = b""
        self._file: BinaryIO | None = None
        try:
            self._open()
        except FileNotFoundError:
            pass
        except OSError as error:
            raise UsageError(f"--keylog {path_text(path)}: {error.strerror or error}") from None

    def _open(self) -> None:
        file = open(self._path, "rb")  # noqa: SIM115 - it stays open
        self._inode = os.fstat(file.fileno()).st_ino
        self._file = file

    def poll(self) -> None:
        """Read what has come."""
        try:
            if self._file is None:
                self._open()
            while self._file is not None and (chunk := self._file.read(AT_ONCE)):
                self._take(chunk)
            self._look_for_another()
            self.problem = None
        except FileNotFoundError:
            return
        except OSError as error:
            self.problem = KeyLogNotRead(PathText(path_text(self._path)), ForeignText(error.strerror or str(error)))

    def _take(self, chunk: bytes) -> None:
        *whole, rest = (self._rest + chunk).split(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        if whole:
            self._secrets.add(b"\n".join(whole), self._path)

    def _look_for_another(self) -> None:
        """Another file by that name, or the same one made empty."""
        assert self._file is not None
        status = os.stat(self._path)
        if status.st_ino != self._inode:
            self._file.close()
            self._file, self._rest = None, b""
        elif status.st_size < self._file.tell():
            self._file.seek(0)
            self._rest = b""

    def close(self) -> None:
        """The end."""
        if self._file is not None:
            self._file.close()


class GrowingKeys:
    """All secrets of a live capture."""

    def __init__(self, key_logs: Sequence[str], server_keys: Sequence[str], ask: Callable[[str], str]) -> None:
        """``ask``: called with a prompt where a key is encrypted. Raises UsageError where one cannot be read."""
        import inspector.secrets.channel  # noqa: F401 - loaded while this process may still read it

        self.secrets = Secrets([read_server_key(path, ask) for path in server_keys], may_grow=bool(key_logs))
        self.logs = [GrowingKeyLog(path, self.secrets) for path in key_logs]
        self.poll()

    def poll(self) -> None:
        """Read on."""
        for log in self.logs:
            log.poll()

    @property
    def channels(self) -> Channels:
        """What opens records with them, as an engine asks it."""
        return Channels(self.secrets)

    def problems(self) -> list[SecretsProblem]:
        """What is wrong with them."""
        return [*self.secrets.problems.values(), *(log.problem for log in self.logs if log.problem)]

    def close(self) -> None:
        """The end."""
        for log in self.logs:
            log.close()
