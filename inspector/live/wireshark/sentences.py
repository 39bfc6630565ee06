"""What Wireshark asks of a capture source, answered in sentences: extcap(4). Each is a word and values in braces."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from inspector.live.sources.interfaces import NetworkInterface
from inspector.text.safe import safe_text
from inspector.text.version import VERSION

SOURCE = "inspector"
"""The interface that Wireshark lists."""

ETHERNET = 1
DELAY_SECONDS, MOST_DELAY_SECONDS = 3, 60
PACKETS = {"all": "all, with comments on them", "incidents": "those of incidents alone"}
BRACES = str.maketrans("{}", "()")
"""No value can hold those of a sentence."""


class CaptureArgument(NamedTuple):
    """An option of the capture source, as a person sets it in Wireshark. ``kind``: of extcap(4). ``more``: further
    pairs of its sentence. ``choices``: value and name; the first is the default.
    """

    call: str
    name: str
    tooltip: str
    kind: str
    more: tuple[tuple[str, str], ...] = ()
    choices: tuple[tuple[str, str], ...] = ()


def interface_sentences() -> Iterator[str]:
    """The version, and the interface."""
    yield _sentence("extcap", ("version", VERSION), ("display", "Inspector"))
    yield _sentence("interface", ("value", SOURCE), ("display", "Inspector: TLS with comments"))


def link_sentences() -> Iterator[str]:
    """The link type that filters are written for; the stream names that of each interface itself."""
    yield _sentence("dlt", ("number", f"{ETHERNET}"), ("name", "EN10MB"), ("display", "Ethernet"))


def argument_sentences(interfaces: Sequence[NetworkInterface]) -> Iterator[str]:
    """What can be set. ``interfaces``: of this machine."""
    for number, argument in enumerate(_arguments(interfaces)):
        named = (("call", argument.call), ("display", argument.name), ("tooltip", argument.tooltip))
        yield _sentence("arg", ("number", f"{number}"), *named, ("type", argument.kind), *argument.more)
        for index, (value, name) in enumerate(argument.choices):
            is_default = "false" if index else "true"
            pairs = (("arg", f"{number}"), ("value", value), ("display", name), ("default", is_default))
            yield _sentence("value", *pairs)


def _arguments(interfaces: Sequence[NetworkInterface]) -> Iterator[CaptureArgument]:
    names = [(one.name, f"{one.name}: {one.text}" if one.text else one.name) for one in interfaces if one.name != "any"]
    yield CaptureArgument(
        "--interface", "Interface", "What is captured", "selector", choices=(("any", "all interfaces"), *names)
    )
    yield CaptureArgument("--packets", "Packets", "Which packets are shown", "selector", choices=tuple(PACKETS.items()))
    yield CaptureArgument(
        "--delay",
        "Delay in seconds",
        "How long packets wait, so that what is found meanwhile can be said on them",
        "integer",
        (("range", f"1,{MOST_DELAY_SECONDS}"), ("default", f"{DELAY_SECONDS}")),
    )
    yield CaptureArgument("--vip", "Services", "VIP:PORT, several with spaces between; all TLS without", "string")
    yield CaptureArgument(
        "--keylog", "Key log", "Secrets that open encrypted handshakes", "fileselect", (("mustexist", "true"),)
    )


def _sentence(word: str, *pairs: tuple[str, str]) -> str:
    return f"{word} " + "".join(f"{{{key}={safe_text(value).translate(BRACES)}}}" for key, value in pairs)
