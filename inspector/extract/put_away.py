"""Engines put away as bytes, and taken up again: by another process, or by a later run of the program.

The bytes are a pickle that may make nothing but what engines consist of: values (structs, named tuples and choices of
this package, numbers, columns), and the classes that are listed here, none of which does more when it is made than to
remember. Whatever else a pickle names is refused, so that bytes from elsewhere run nothing of other modules. Columns
are put away as their bytes: numpy's own way would let a pickle say where in memory an object lies.
"""

from __future__ import annotations

import io
import pickle
from collections.abc import Mapping
from enum import Enum
from typing import Any, TypeVar

import numpy as np
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
    "inspector.extract.put_away": ("columns_again", "kept_again"),
    "inspector.tls.extensions": ("AnswerShape.memory", "HelloShape.memory"),
    "inspector.tls.message_cache": ("MessageCache",),
    "inspector.tls.reassembly": ("HandshakeReassembly",),
    "inspector.tls.records": ("RecordReader",),
    "inspector.tls.search": ("HelloSearch", "RecordSearch"),
    "inspector.tls.x509.certificate": ("certificate_memory",),
    "inspector.wire.acknowledged": ("UnsettledFlows",),
    "inspector.wire.addresses": ("AddressTable",),
    "inspector.wire.beginnings": ("FlowBeginnings",),
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
    "collections": ("Counter", "OrderedDict"),
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
    """Columns are pickled as their bytes, and kept values, elsewhere plain dictionaries, with their bounds."""

    def reducer_override(self, obj: object) -> Any:
        if isinstance(obj, np.ndarray):
            kind = obj.dtype.descr if obj.dtype.names else obj.dtype.str
            return columns_again, (kind, obj.shape, obj.tobytes())
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


def columns_again(kind: Any, shape: tuple[int, ...], data: bytes) -> np.ndarray[Any, Any]:
    """An array as it was. Raises ValueError where the bytes are not as many as it takes, or it would hold objects."""
    return np.frombuffer(data, np.dtype(kind)).reshape(shape).copy()


def kept_again(values: dict[bytes, T], state: Mapping[str, object]) -> KeptValues[T]:
    """Kept values with their bounds, as they were."""
    kept: KeptValues[T] = KeptValues.__new__(KeptValues)
    dict.update(kept, values)
    kept.__dict__.update(state)
    return kept
