"""Types of facts, of which each number, text and list has a bound: to decode by one checks what somebody may have made
up at the speed of decoding it.

They are made of the types themselves, so that no field can be forgotten: a structure becomes one with the same fields,
each of a bounded type.
"""

from __future__ import annotations

import enum
import types
from collections.abc import Mapping, MutableSequence, Sequence
from functools import cache
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple, NewType, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta, Struct


class Bounds(Struct, frozen=True):
    """``number``: none is larger, nor smaller than its negative. ``length``: of bytes and texts. ``items``: of
    lists.
    """

    number: int
    length: int
    items: int


def bounded(kind: Any, bounds: Bounds, fields: Mapping[tuple[type, str], Any] = MappingProxyType({})) -> Any:
    """The same type within bounds: what is decoded by it can be decoded by the type itself, and has fields of the same
    names and values. ``fields``: the types of some fields, by the structure that they are in, where theirs are
    narrower. Raises TypeError for a type that is not known here.
    """
    return _Bounding(bounds, fields).of(kind)


class _Bounding:
    def __init__(self, bounds: Bounds, fields: Mapping[tuple[type, str], Any]) -> None:
        self._fields = fields
        self._number = Meta(ge=-bounds.number, le=bounds.number)
        self._length = Meta(max_length=bounds.length)
        self._items = Meta(max_length=bounds.items)
        self._known: dict[type, Any] = {}

    def of(self, kind: Any) -> Any:
        if isinstance(kind, NewType):
            return self.of(kind.__supertype__)
        origin = get_origin(kind)
        if origin in (Union, types.UnionType):
            return Union[tuple(self.of(each) for each in get_args(kind))]  # noqa: UP007 - of a list of types
        if origin is dict:
            key, value = map(self.of, get_args(kind))
            return Annotated[types.GenericAlias(dict, (key, value)), self._items]
        if origin in (tuple, list, MutableSequence):
            return self._listed(origin, get_args(kind))
        if origin is Annotated:
            return self.of(get_args(kind)[0])
        if origin is Literal or kind is bool or kind is None or kind is type(None):
            return kind
        if kind is int or kind is float:
            return Annotated[kind, self._number]
        if kind is bytes or kind is str:
            return Annotated[kind, self._length]
        if isinstance(kind, type) and issubclass(kind, Struct):
            return self._structure(kind)
        if isinstance(kind, type) and issubclass(kind, tuple):
            return self._named(kind)
        if isinstance(kind, type) and issubclass(kind, enum.Enum):
            return kind
        raise TypeError(f"{kind} has no bounds")

    def _listed(self, origin: type, of: tuple[Any, ...]) -> Any:
        if origin is not tuple:
            return Annotated[types.GenericAlias(list, (self.of(of[0]),)), self._items]
        if len(of) == 2 and of[1] is ...:
            return Annotated[types.GenericAlias(tuple, (self.of(of[0]), ...)), self._items]
        return types.GenericAlias(tuple, tuple(self.of(each) for each in of))

    def _structure(self, kind: type[Struct]) -> Any:
        config = kind.__struct_config__
        defaults = {
            field.name: msgspec.field(default_factory=field.default_factory)
            if field.default is msgspec.NODEFAULT
            else field.default
            for field in msgspec.structs.fields(kind)
            if not field.required
        }
        if kind not in self._known:
            self._known[kind] = msgspec.defstruct(
                f"Bounded{kind.__name__}",
                [
                    (name, of, defaults[name]) if name in defaults else (name, of)
                    for name, of in self._hints(kind, kind.__struct_fields__)
                ],
                array_like=config.array_like,
                tag=config.tag,
                frozen=True,
                gc=False,
            )
        return self._known[kind]

    def _named(self, kind: Any) -> Any:
        if kind not in self._known:
            made: Any = NamedTuple(f"Bounded{kind.__name__}", self._hints(kind, kind._fields))  # type: ignore[misc]
            made._field_defaults = dict(kind._field_defaults)
            made.__new__.__defaults__ = tuple(kind._field_defaults.values())
            self._known[kind] = made
        return self._known[kind]

    def _hints(self, kind: type, names: Sequence[str]) -> list[tuple[str, Any]]:
        hints = get_type_hints(kind, include_extras=True)
        narrower = self._fields
        return [(name, narrower[kind, name] if (kind, name) in narrower else self.of(hints[name])) for name in names]


@cache
def bounded_decoder(kind: type[Any], bounds: Bounds) -> msgspec.msgpack.Decoder[Any]:
    """Decodes a type within bounds from MessagePack; raises msgspec.MsgspecError where it is none, or beyond them."""
    return msgspec.msgpack.Decoder(bounded(kind, bounds))
