"""Captures of both sides of a balancer, each by the clock of its host, and what of a document no clock may change."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec

from inspector.facts import Facts
from inspector.findings.judge import judge
from tests.build import MS, Flow, Pool, certificate, ethernet, numbered, ordered
from tests.cuts import Frame, write
from tests.test_story import behind

TwoHosts = tuple[list[Frame], list[Frame]]
"""What a host in front of a balancer sees, and one behind it."""


def two_hosts(handshakes: int = 9, gap_ns: int = 700 * MS) -> TwoHosts:
    """Sessions issued by one back end, resumed there, and declined by another."""
    first, second = certificate("puppetdb1", ("a.example.com",)), certificate("puppetdb2", ("b.example.com",))
    pool = Pool()
    for number in range((handshakes + 2) // 3):
        pool.full(first, numbered(2 * number + 1))
        pool.resumed(numbered(2 * number + 1))
        pool.ns += gap_ns
        pool.given_up(second, numbered(2 * number + 2), numbered(2 * number + 1))
    flows = pool.flows[:handshakes]
    legs = [
        behind(flow, 50_000 + number, "10.0.1.1", "10.0.1.12" if number % 3 == 2 else "10.0.1.11")
        for number, flow in enumerate(flows)
    ]
    return as_frames(flows), as_frames(legs)


def as_frames(flows: Sequence[Flow]) -> list[Frame]:
    """``source`` says which side sent it: 1 for the client."""
    return [Frame(s.ns, ethernet(s), int(s.from_client)) for s in ordered(flows)]


def pieces(folder: Path, name: str, frames: Sequence[Frame], count: int) -> list[str]:
    """A rotated set of one host."""
    folder.mkdir(exist_ok=True, parents=True)
    edges = [len(frames) * n // count for n in range(count + 1)]
    return [
        str(write(folder / f"{name}{f'-{n:05}' if count > 1 else ''}.pcap", frames[begin:end]))
        for n, (begin, end) in enumerate(pairwise(edges))
    ]


def as_document(facts: Facts) -> Any:
    return json.loads(msgspec.json.encode(judge(facts).complete()))


def but_for_clocks(document: Any) -> tuple[str, str]:
    """All that must be the same: frames by the name of the file, and nothing of who saw what by which clock."""
    names = [Path(capture["path"]).name for capture in document["captures"]]

    def named(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: named(each) for key, each in value.items()}
        if isinstance(value, list):
            is_frame = len(value) == 2 and all(type(each) is int for each in value) and value[0] < len(names)
            return [names[value[0]], value[1]] if is_frame else [named(each) for each in value]
        return value

    clocked = ("first", "last", "clocks", "host", "path")
    captures = [
        {k: v for k, v in c.items() if k not in clocked} | {"path": Path(c["path"]).name} for c in document["captures"]
    ]
    limits = [limit for limit in document["limits"] if limit["kind"] not in ("clock_offset", "clock_unknown")]
    rest = {key: value for key, value in document.items() if key not in ("captures", "limits")}
    return json.dumps(sorted(captures, key=json.dumps)), json.dumps([limits, named(rest)])


def without_frames(document: Any) -> Any:
    """What of a document does not depend on where frames lie."""

    def bare(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: bare(each) for key, each in value.items() if key not in ("frames", "frame", "sightings")}
        if isinstance(value, list):
            return [bare(each) for each in value]
        return value

    return {key: bare(value) for key, value in document.items() if key not in ("captures", "limits")}


def clocks_of(document: Any) -> dict[str, list[tuple[int, int, int]]]:
    """What is said of each host's clock."""
    said: dict[str, list[tuple[int, int, int]]] = {}
    for capture in document["captures"]:
        name = capture["host"] or Path(capture["path"]).name[0]
        said.setdefault(name, [])
        said[name] += [(c["ns"], c["uncertainty"], c["connections"]) for c in capture["clocks"]]
    return said
