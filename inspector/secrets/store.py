"""All secrets that were given for a story, or that its captures bring, by what names them on the wire. They stay in
memory: nothing here can be written but by ``lines_for``, and whoever holds them leaves no core dump.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from io import BytesIO
from typing import TypeVar

from inspector import bounds
from inspector.errors.notice import PathText
from inspector.errors.secrets import (
    LineTooLong,
    NoKeyLogLines,
    NotHexadecimal,
    SecretsProblem,
    TooManySecrets,
    WrongLengths,
)
from inspector.secrets import keylog
from inspector.secrets.core_dumps import leave_no_core_dumps
from inspector.secrets.server_keys import ServerKey
from inspector.text.safe import path_text

K = TypeVar("K")

IDLE_SHARE = 10
"""Lines that open nothing for each that does, where a log holds other lines as well."""


class Secrets:
    """Key logs, read whole or as they grow, decryption secrets of captures, servers' keys. ``may_grow``: lines may come
    behind the packets they open.
    """

    def __init__(self, server_keys: Sequence[ServerKey] = (), may_grow: bool = False) -> None:
        leave_no_core_dumps()
        self.server_keys = list(server_keys)
        self.may_grow = may_grow
        self.problems: dict[str, SecretsProblem] = {}
        """By the file's name; under an empty one that later secrets are not kept."""
        self.held_bytes = 0
        """Bytes of all connections that wait for something."""
        self._by_random: OrderedDict[tuple[str, bytes], bytes] = OrderedDict()
        self._sessions: OrderedDict[bytes, bytes] = OrderedDict()
        self._bad: dict[str, tuple[int, int, LineTooLong | NotHexadecimal | WrongLengths]] = {}
        self._lines: dict[str, int] = {}
        self._useful: dict[str, int] = {}
        """How many lines of each file open something."""
        self._has_premasters = False

    def add(self, lines: bytes, name: str) -> None:
        """Lines of a key log. ``name``: of the file, for what is wrong with it; lines that are none are counted and
        passed over.
        """
        self._add(lines, path_text(name), None)

    def add_foreign(self, lines: bytes, name: str) -> bool:
        """The same of whoever wrote a capture: False where so many lines open nothing that the rest was not read."""
        return self._add(lines, path_text(name), bounds.IDLE_LINES)

    def _add(self, lines: bytes, name: str, most_idle: int | None) -> bool:
        number, useful = self._lines.get(name, 0), self._useful.get(name, 0)
        is_read = True
        for raw in BytesIO(lines):
            if most_idle is not None and number - useful > max(most_idle, IDLE_SHARE * useful):
                is_read = False
                break
            number += 1
            try:
                line = keylog.read_line(raw)
            except keylog.NoKeyLogLine as error:
                count, first, mistake = self._bad.get(name, (0, number, error.mistake))
                self._bad[name] = (count + 1, first, mistake)
                continue
            if line is not None:
                useful += 1
                self._keep(line, name)
        self._lines[name], self._useful[name] = number, useful
        if name in self._bad:
            count, first, mistake = self._bad[name]
            self.problems[name] = NoKeyLogLines(PathText(name), count, number, first, mistake)
        return is_read

    def _keep(self, line: keylog.KeyLogLine, name: str) -> None:
        if line.label == keylog.SESSION:
            is_kept = self._put(self._sessions, line.name, line.secret)
        else:
            is_kept = self._put(self._by_random, (line.label, line.name), line.secret)
        if not is_kept:
            self.problems[""] = TooManySecrets(PathText(name), bounds.SECRETS)
            return
        self._has_premasters = self._has_premasters or line.label in (keylog.PREMASTER, keylog.RSA_PREMASTER)

    @property
    def has_premasters(self) -> bool:
        """Whether a master secret may have to be derived from what a handshake says."""
        return self._has_premasters or bool(self.server_keys)

    def find(self, label: str, name: bytes) -> bytes | None:
        """The secret of a label for a client random."""
        return self._by_random.get((label, name))

    def knows(self, client_random: bytes) -> bool:
        """Whether there is any secret for a client random."""
        return any(
            (label, client_random) in self._by_random for label in (keylog.MASTER, keylog.PREMASTER, *keylog.TRAFFIC)
        )

    def session(self, key: bytes) -> bytes | None:
        """The master secret of a session, by its id or its ticket's digest."""
        return self._sessions.get(key) if key else None

    def keep_session(self, key: bytes, master: bytes) -> None:
        """A session that may be resumed by a connection whose own secret is not given."""
        if key:
            self._put(self._sessions, key, master)

    def keep_master(self, client_random: bytes, master: bytes) -> None:
        """A master secret that was found otherwise than by the client's random, so that it can be told with the
        packets.
        """
        if (keylog.MASTER, client_random) not in self._by_random:
            self._put(self._by_random, (keylog.MASTER, client_random), master)

    def _put(self, kept: OrderedDict[K, bytes], key: K, secret: bytes) -> bool:
        """Keep a secret; False where there is no room for it. Where key logs grow, room is made."""
        if key not in kept and len(kept) >= (bounds.LIVE_SECRETS if self.may_grow else bounds.SECRETS):
            if not self.may_grow:
                return False
            kept.popitem(last=False)
        kept[key] = secret
        return True

    def lines_for(self, client_randoms: Sequence[bytes]) -> Iterator[bytes]:
        """The key log lines of some handshakes, and of no other."""
        for random in client_randoms:
            for label in (keylog.MASTER, keylog.PREMASTER, *keylog.TRAFFIC):
                secret = self._by_random.get((label, random))
                if secret is not None:
                    yield keylog.written(keylog.KeyLogLine(label, random, secret))

    def __repr__(self) -> str:
        return f"<Secrets: {len(self._by_random)} of key logs, {len(self.server_keys)} server keys>"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("secrets are not serialised")
