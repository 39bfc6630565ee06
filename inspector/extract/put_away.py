"""Engines put away as bytes, and taken up again: by another process, or by a later run of the program.

The bytes are a pickle that may make nothing but what engines consist of: values (structs, named tuples and choices of
this package, numbers, columns), and the classes that are listed here, none of which does more when it is made than to
remember. Whatever else a pickle names is refused before it is looked up, so that bytes from elsewhere run nothing.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

from msgspec import Struct

from inspector.extract.kept_values import KeptValues

T = TypeVar("T")

ROOMS = tuple(f"inspector.{room}." for room in ("capture", "errors", "extract", "facts", "tls", "wire"))
"""Whose values engines hold."""

CLASSES = {
    "inspector.errors.internal": ("Border",),
    "inspector.extract.alerts": ("AlertNotes",),
    "inspector.extract.application_data": ("ApplicationData",),
    "inspector.extract.completed_connections": ("CompletedConnections",),
    "inspector.extract.connection": ("ConnectionAssembly",),
    "inspector.extract.continuing_engine": ("ContinuingEngine",),
    "inspector.extract.event_ladder": ("EventLadder",),
    "inspector.extract.greedy_dual": ("GreedyDualQueue",),
    "inspector.extract.kept_values": ("KeptValues", "stored_memory"),
    "inspector.extract.openings": ("Openings",),
    "inspector.extract.put_away": ("kept_again",),
    "inspector.tls.extensions": ("AnswerShape.memory", "HelloShape.memory"),
    "inspector.tls.message_cache": ("MessageCache",),
    "inspector.tls.reassembly": ("HandshakeReassembly",),
    "inspector.tls.records": ("RecordReader",),
    "inspector.tls.search": ("HelloSearch", "RecordSearch"),
    "inspector.tls.x509.certificate": ("certificate_memory",),
    "inspector.wire.addresses": ("AddressTable",),
    "inspector.wire.completed": ("CompletedFlows",),
    "inspector.wire.continued": ("ContinuedFlows",),
    "inspector.wire.continuing_flows": ("ContinuingFlowTable",),
    "inspector.wire.flow": ("Flow",),
    "inspector.wire.fragments": ("Fragments",),
    "inspector.wire.half_open": ("HalfOpenFlows",),
    "inspector.wire.overlaps": ("Overlaps",),
    "inspector.wire.segments": ("SegmentDecoder",),
    "inspector.wire.shared_flows": ("SharedFlows",),
    "inspector.wire.spread": ("Spread",),
    "inspector.wire.streams": ("Stream",),
    "inspector.wire.tunnels": ("Tunnels",),
    "builtins": ("bytes", "bytearray", "frozenset", "set"),
    "collections": ("Counter", "OrderedDict"),
    "numpy": ("dtype", "ndarray"),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy.core.numeric": ("_frombuffer",),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.numeric": ("_frombuffer",),
}
"""What engines are made of beside values, by module; the functions of it make or measure such things."""


UNPICKLING_ERRORS = (
    *(pickle.UnpicklingError, ArithmeticError, AttributeError, BufferError, EOFError, ImportError, LookupError),
    *(MemoryError, RecursionError, SystemError, TypeError),
)
"""What damaged bytes lead to, beside ValueError."""


class TooLargeError(Exception):
    """More bytes than there is room for."""


def put_away(value: object, most_bytes: int | None = None) -> bytes:
    """As bytes, for ``taken_up``. Raises TooLargeError where there are more than ``most_bytes``."""
    file = _BoundedBuffer(most_bytes)
    _EnginePickler(file, pickle.HIGHEST_PROTOCOL).dump(value)
    return file.getvalue()


def taken_up(data: bytes) -> Any:
    """What was put away. Raises ValueError where the bytes are none of that, or damaged."""
    try:
        return _EngineUnpickler(io.BytesIO(data)).load()
    except UNPICKLING_ERRORS as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None


class _BoundedBuffer(io.BytesIO):
    def __init__(self, most_bytes: int | None) -> None:
        super().__init__()
        self._most_bytes = most_bytes

    def write(self, data: Any) -> int:
        if self._most_bytes is not None and self.tell() + len(memoryview(data)) > self._most_bytes:
            raise TooLargeError
        return super().write(data)


class _EnginePickler(pickle.Pickler):
    """Keeps the bounds of values that are elsewhere pickled as plain dictionaries."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, KeptValues):
            state = {name: value for name, value in obj.__dict__.items() if name != "__orig_class__"}
            return kept_again, (dict(obj), state)
        return NotImplemented


class _EngineUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Raises ValueError for what no engine is made of."""
        if name in CLASSES.get(module, ()):
            return super().find_class(module, name)
        if module.startswith(ROOMS) and "." not in name:
            kind = super().find_class(module, name)
            if isinstance(kind, type) and kind.__module__ == module and issubclass(kind, Struct | tuple | Enum):
                return kind
        raise ValueError(f"{module}.{name} is no part of an engine")


def kept_again(values: dict[bytes, T], state: Mapping[str, object]) -> KeptValues[T]:
    """Kept values with their bounds, as they were."""
    kept: KeptValues[T] = KeptValues.__new__(KeptValues)
    dict.update(kept, values)
    kept.__dict__.update(state)
    return kept
