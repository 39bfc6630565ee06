"""Key logs that grow while the capture runs: whoever speaks TLS writes a secret a moment before or after the packets
that it opens.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.errors import UsageError
from inspector.errors.notice import ForeignText, PathText
from inspector.errors.secrets import KeyLogNotRead, SecretsProblem
from inspector.findings.wording import worded
from inspector.live.sources.tail import FileTail
from inspector.logs.sources import NotALog
from inspector.secrets.channel import Channels
from inspector.secrets.server_keys import read_server_key
from inspector.secrets.store import Secrets
from inspector.text.safe import path_text

CHUNKS = 64
"""So often is read in one poll: what opens records must not come late, nor keep the loop for good."""

LONGEST_LINE = 1 << 12


class GrowingKeyLog:
    """One key log, followed also where it is written anew. It may not be there yet."""

    def __init__(self, path: str, secrets: Secrets) -> None:
        """Opened while this process may still read it. Raises UsageError where it is there and cannot be read."""
        self.problem: KeyLogNotRead | None = None
        self._path = path
        self._secrets = secrets
        self._rest = b""
        try:
            self._tail = FileTail(path, may_be_missing=True)
        except NotALog as error:
            raise UsageError(f"--keylog {path_text(path)}: {worded(error.problem)}") from None
        except OSError as error:
            raise UsageError(f"--keylog {path_text(path)}: {error.strerror or error}") from None

    def poll(self) -> None:
        """Read what has come."""
        for _ in range(CHUNKS):
            data, is_new_file = self._tail.read()
            if is_new_file:
                self._rest = b""
            if not data:
                break
            self._add(data)
        interruption = self._tail.interruption
        if interruption is None or interruption.kind in ("missing", "abandoned"):  # it has said what it had to say
            self.problem = None
        else:
            self.problem = KeyLogNotRead(PathText(path_text(self._path)), ForeignText(interruption.reason))

    def _add(self, data: bytes) -> None:
        whole, line_feed, rest = (self._rest + data).rpartition(b"\n")
        self._rest = rest[-LONGEST_LINE:]
        if line_feed:
            self._secrets.add(whole, self._path)

    def close(self) -> None:
        self._tail.close()


class GrowingKeys:
    """All secrets of a live capture."""

    def __init__(self, key_logs: Sequence[str], server_keys: Sequence[str], ask: Callable[[str], str]) -> None:
        """``ask``: called with a prompt where a key is encrypted. Raises UsageError where one cannot be read."""
        import inspector.secrets.channel  # noqa: F401 - loaded while this process may still read it

        self.secrets = Secrets([read_server_key(path, ask) for path in server_keys], may_grow=bool(key_logs))
        self.logs = [GrowingKeyLog(path, self.secrets) for path in key_logs]
        self.poll()

    def poll(self) -> None:
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
        for log in self.logs:
            log.close()
