"""The alerts of a connection: as they were read, and as facts once the whole handshake is known."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from inspector.facts import AlertFact, HandshakeFacts
from inspector.tls.registry import cipher_name
from inspector.tls.sink import Mark
from inspector.tls.types import FATAL, AlertLevel


class AlertNote(Struct, frozen=True, gc=False):
    """An alert as it was read. ``level`` negative: behind a ChangeCipherSpec, readable only where the suite does not
    encrypt.
    """

    lane: int
    level: int | None
    code: int | None
    mark: Mark
    decrypted: bool = False


LEVELS = frozenset(AlertLevel)


def _is_null(handshake: HandshakeFacts) -> bool:
    """Whether the cipher suite does not encrypt."""
    answer = handshake.answer
    return answer is not None and "_WITH_NULL_" in cipher_name(answer.cipher_suite)


class AlertNotes:
    """All of them, in the order in which they were read."""

    __slots__ = ("_notes",)

    def __init__(self, notes: Iterable[AlertNote] = ()) -> None:
        self._notes = [*notes]

    def add(self, note: AlertNote) -> None:
        """One more."""
        self._notes.append(note)

    def open(self, known: AlertNote) -> bool:
        """Put one that was decrypted in the place of the record that held it; False where that is not noted."""
        for index, note in enumerate(self._notes):
            is_closed = not note.decrypted and (note.level is None or note.level <= 0)
            if is_closed and note.lane == known.lane and note.mark == known.mark:
                self._notes[index] = known
                return True
        return False

    @property
    def are_fatal(self) -> bool:
        """Whether a side sent a fatal one that could be read."""
        return any(note.level == FATAL for note in self._notes)

    def facts(self, client: int, handshake: HandshakeFacts) -> tuple[AlertFact, ...]:
        """All by time. ``client``: the lane of the client. ``handshake``: says whether records are encrypted."""
        if not self._notes:
            return ()
        alerts: list[AlertFact] = []
        for note in self._notes:
            level, code = note.level, note.code
            if level is not None and level <= 0 and not note.decrypted:
                level, code = (-level, code) if -level in LEVELS and _is_null(handshake) else (None, None)
            alerts.append(AlertFact(note.lane == client, level, code, note.mark[1], note.mark[2], note.decrypted))
        alerts.sort(key=lambda alert: (alert.ns, alert.frame))
        return tuple(alerts)
