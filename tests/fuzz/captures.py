"""Captures harmed in the ways in which captures are, one harm on top of the other: whatever is done to one, no abort is
newly confirmed, none is laid to another back end, and nothing is *protected, observed* over a loss.

``python -m tests.fuzz.captures [COUNT [SEED]]`` harms many (50,000 by default) and prints what failed. A failure is
repeated by its seed: ``python -m tests.fuzz.captures 1 SEED``. ``tests/test_fuzz_captures.py`` harms some, and
``guided`` lets the fuzzer throw the dice.
"""

from __future__ import annotations

import random
import sys
import tempfile
import time
from collections import Counter
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from msgspec.structs import replace

from inspector.document import Connection, Document
from inspector.errors import UnreadableError
from inspector.errors.internal import Border
from inspector.findings.judge import judge
from inspector.secrets.inputs import SecretInputs
from tests.build import Pool, certificate, ethernet, facts_of, numbered
from tests.conftest import CAPTURES
from tests.fuzz.forms import PACKERS, pcap, pcapng
from tests.fuzz.harms import CHANGING, HARMLESS, HARMS
from tests.fuzz.segments import tcp_frame
from tests.mutations import ABORT, Frame, Frames, aborts, failures, frames_of, recordings

CONNECTIONS = 5
"""Of a recording, about."""

RUNS = 50
"""Harms that are tried on one base before the next."""

MOST_FILES = 4
HELLO_RANDOM = slice(11, 43)
"""Of a record that holds a ClientHello (RFC 8446, section 4.1.2)."""

MARKS = {"harmless": HARMLESS[0], "changing": CHANGING[0], "shorten": "shorten", "other": "drop"}
"""What ``mutations.failures`` is told that was done, where several things were."""


class Base(NamedTuple):
    """What is harmed. ``key_log``: what opens it; ``whole``: what the analysis says of all of it, ``sealed``: without
    what opens it.
    """

    name: str
    frames: Frames
    key_log: bytes
    whole: Document
    sealed: Document


class Harmed(NamedTuple):
    """``files``: by name; ``kinds``: what was done."""

    files: dict[str, bytes]
    key_log: bytes
    kinds: list[str]


# What is harmed.


@lru_cache(maxsize=8)
def _recorded(path: Path) -> tuple[Frames, tuple[frozenset[bytes], ...]]:
    """The frames of a recording; and of each confirmed abort the clients' ports of its connections."""
    document = judge(facts_of(path)).complete()
    ports = {c.id: c.client_endpoint.port.to_bytes(2, "big") for c in document.connections}
    aborted = [
        frozenset(ports[e.connection] for e in finding.evidence if e.connection is not None)
        for finding in document.findings
        if finding.rule == ABORT and finding.verdict == "confirmed"
    ]
    return frames_of(path), tuple(aborted)


def _some_of(dice: random.Random, path: Path) -> Frames:
    """The frames of a few neighbours among a recording's connections, and perhaps of those of an abort."""
    frames, aborted = _recorded(path)
    ends = [of.ports if of is not None else None for of in map(tcp_frame, frames)]
    ports = list(dict.fromkeys(max(end) for end in ends if end is not None))
    first_port = dice.randrange(max(1, len(ports) - CONNECTIONS))
    wanted = set(ports[first_port : first_port + CONNECTIONS])
    if aborted and dice.random() < 0.7:
        wanted = {*ports[first_port : first_port + 2], *dice.choice(aborted)}
    return [frame for frame, end in zip(frames, ends, strict=True) if end is not None and wanted & set(end)]


def _built(dice: random.Random) -> Frames:
    """A pool of two or three members; perhaps an abort, or what looks like one."""
    chains = [
        certificate("puppetdb1", ("puppetdb1.example.com",)),
        certificate("puppetdb2", ("puppetdb2.example.com",)),
        certificate("pool", ("puppetdb.example.com",)),
    ]
    pool = Pool(java=dice.random() < 0.8, ems=dice.random() < 0.2)
    sessions: list[bytes] = []
    if dice.random() < 0.5:
        pool.full(chains[0], numbered(98))
        pool.given_up(chains[1], numbered(99), numbered(98), alert=dice.choice((42, 46, 80, None)))
        sessions.append(numbered(98))
    for number in range(dice.randrange(2, 7)):
        offered, der = dice.choice([b"", *sessions]), dice.choice(chains)
        issued = numbered(100 + number)
        match dice.randrange(7):
            case 0 | 1:
                pool.full(der, issued, offered, data=dice.random() < 0.7)
                sessions.append(issued)
            case 2 if offered:
                pool.resumed(offered)
            case 3 | 4:
                pool.given_up(der, issued, offered, alert=dice.choice((42, 46, 80, None)))
            case 5:
                pool.server_alert(dice.choice((40, 70, 80)))
            case _:
                pool.tls13(psk=dice.choice((None, b"ticket")), accepted=dice.random() < 0.5)
    return [Frame(s.ns, data, len(data), 1) for s in pool.segments() for data in (ethernet(s),)]


def _key_log(path: Path) -> bytes:
    file = CAPTURES / f"{path.name.split('.')[0]}.keylog"
    return file.read_bytes() if file.exists() else b""


@lru_cache(maxsize=2)
def base(seed: int) -> Base:
    """One of endlessly many: a built pool, some connections of a recording, or of two at the same time."""
    dice = random.Random(f"base {seed}")
    paths = recordings()
    name, key_log = "built", b""
    match dice.randrange(6):
        case 0 | 1:
            frames = _built(dice)
        case 2:
            one, other = dice.sample(paths, 2)
            name = f"{one.name} and {other.name}"
            frames, added = _some_of(dice, one), _some_of(dice, other)
            late = frames[0].ns - added[0].ns if frames and added else 0
            frames = sorted([*frames, *(f._replace(ns=f.ns + late) for f in added)], key=lambda f: f.ns)
        case _:
            path = dice.choice(paths)
            name, frames = path.name, _some_of(dice, path)
            key_log = _key_log(path) if dice.random() < 0.7 else b""
    if not frames:
        return base(seed + 1_000_003)
    with tempfile.TemporaryDirectory() as folder:
        files = {"whole.pcapng": _plain(frames)}
        whole = analysed(files, key_log, Path(folder))
        return Base(name, frames, key_log, whole, analysed(files, b"", Path(folder)) if key_log else whole)


def _plain(frames: Frames) -> bytes:
    return pcapng(frames, random.Random(0), lambda: None)


def analysed(files: dict[str, bytes], key_log: bytes, folder: Path) -> Document:
    paths = []
    for name, data in files.items():
        paths.append(folder / name)
        paths[-1].write_bytes(data)
    given = SecretInputs([("given.keylog", key_log)]) if key_log else None
    return judge(facts_of(*paths, given=given)).complete()


# What is done to it.


def _lines(dice: random.Random, frames: Frames) -> bytes | None:
    """Lines for a secrets block: of no key log, of nobody, or the wrong ones for somebody; mostly there is no block."""
    if dice.random() < 0.97:
        return None
    of = tcp_frame(dice.choice(frames))
    random_of = of.body[HELLO_RANDOM] if of is not None and of.body[:1] == b"\x16" else b""
    name = random_of if len(random_of) == 32 else dice.randbytes(32)
    label = dice.choice(("CLIENT_RANDOM", "SERVER_HANDSHAKE_TRAFFIC_SECRET", "CLIENT_TRAFFIC_SECRET_0", "X"))
    size = 48 if label == "CLIENT_RANDOM" else 32
    line = f"{label} {name.hex()} {dice.randbytes(size).hex()}\n".encode()
    return dice.choice((line, line * 40, line[: dice.randrange(len(line))], dice.randbytes(50), b"#\n" * 100, b""))


def _file(dice: random.Random, frames: Frames, kinds: list[str], name: str) -> tuple[str, bytes]:
    """One file of these frames, in any form; perhaps cut at the end, or damaged in compression."""
    link_types = {f.link_type for f in frames}
    if len(link_types) == 1 and dice.random() < 0.4:
        data, name = pcap(frames), f"{name}.pcap"
    else:
        data, name = pcapng(frames, dice, lambda: _lines(dice, frames)), f"{name}.pcapng"
    if dice.random() < 0.06:
        kinds.append("ends early")
        data = data[: dice.randrange(64, max(65, len(data)))]
    if dice.random() < 0.15:
        data = dice.choice(PACKERS)(data)
        if dice.random() < 0.2:
            kinds.append("damaged compression")
            at = dice.randrange(len(data) // 2, len(data))
            data = data[:at] + bytes((data[at] ^ 0x55,)) + data[at + 1 :]
    return name, data


def _keys(dice: random.Random, key_log: bytes, kinds: list[str]) -> bytes:
    """A key log without some of its lines."""
    if not key_log or dice.random() < 0.5:
        return key_log
    kinds.append("fewer secrets")
    share = dice.choice((0.1, 0.5, 1.0))
    return b"".join(line for line in key_log.splitlines(keepends=True) if dice.random() >= share)


def harmed(dice: random.Random, whole: Base) -> Harmed:
    """One to three harms, one after the other, each to one of the files that there are by then."""
    files: list[Frames] = [whole.frames]
    kinds: list[str] = []
    for _ in range(dice.choice((1, 1, 1, 2, 2, 3))):
        at = dice.randrange(len(files))
        kind = dice.choice(list(HARMS))
        if files[at] and len(files) < MOST_FILES:
            kinds.append(kind)
            files[at : at + 1] = HARMS[kind](dice, files[at])
    written = dict(_file(dice, frames, kinds, str(n)) for n, frames in enumerate(files) if frames)
    return Harmed(written, _keys(dice, whole.key_log, kinds), kinds)


# What must hold.


def _end(c: Connection) -> tuple[str, int, str, int]:
    return c.client_endpoint.ip, c.client_endpoint.port, c.server_endpoint.ip, c.server_endpoint.port


def _ends(document: Document) -> set[tuple[str, int, str, int]]:
    return set(map(_end, document.connections))


def _legs(document: Document) -> set[tuple[object, ...]]:
    """The ends of legs behind a balancer: the same abort, where the client's leg is hidden."""
    return {
        (leg.client.ip, leg.client.port, leg.server.ip, leg.server.port)
        for c in document.connections
        if c.outcome == "aborted"
        for leg in c.legs
    }


def _mark(whole: Base, kinds: list[str], document: Document) -> str:
    """What to take a harm for. Where a connection has gone with all its frames, it is as if the capture had begun
    later.
    """
    is_without_trace = not _ends(whole.whole) <= _ends(document)
    if is_without_trace or any(kind in ("shorten", "ends early") for kind in kinds):
        return MARKS["shorten"]
    if any(kind in CHANGING for kind in kinds):
        return MARKS["changing"]
    return MARKS["harmless" if all(kind in HARMLESS for kind in kinds) else "other"]


def _seen(whole: Base, document: Document) -> Document:
    """The whole, of each service as far as it can be seen: what only secrets show is not seen without them, nor behind
    a record that is missing or was changed, for which nothing opens any more.
    """
    sealed = {(s.name, s.port): s.assessment for s in whole.sealed.services}
    shut = {c.service for c in document.connections if c.secrets != "decrypted"}
    closed = {(s.name, s.port) for s in document.services if s.id in shut} & set(sealed)
    return replace(
        whole.whole,
        services=[
            replace(s, assessment=sealed[s.name, s.port]) if (s.name, s.port) in closed else s
            for s in whole.whole.services
        ],
    )


def _told(connection: Connection) -> tuple[object, ...]:
    """What a connection says that others are weighed by."""
    handshake = connection.handshakes[0]
    session = handshake.session
    return (*handshake.server_chain[:1], session.offered_id, session.answered_id, session.offered_ticket)


def _without_changed(whole: Base, document: Document, folder: Path) -> Document:
    """The whole, but for connections that say something else in the harmed capture, for bytes of them were changed:
    what they tell against an abort is not in it, whoever reads it.
    """
    told = {_end(c): _told(c) for c in whole.whole.connections}
    changed = {
        frozenset((_end(c)[1], _end(c)[3]))
        for c in document.connections
        if any(now and now != was for now, was in zip(_told(c), told.get(_end(c), ()), strict=False))
    }
    ends = [{int.from_bytes(port, "big") for port in of.ports} if of else set() for of in map(tcp_frame, whole.frames)]
    left = [frame for frame, end in zip(whole.frames, ends, strict=True) if frozenset(end) not in changed]
    return analysed({"left.pcapng": _plain(left)}, whole.key_log, folder) if left else whole.whole


def wrong(whole: Base, what: Harmed, folder: Path) -> list[str]:
    """What the analysis of a harmed capture says that it must not."""
    if not what.files:
        return []
    try:
        document = analysed(what.files, what.key_log, folder)
    except UnreadableError:  # nothing was left of it
        return []
    excused = {str(end) for end in _legs(whole.whole)}
    if any(kind in CHANGING for kind in what.kinds) and not aborts(document).keys() <= aborts(whole.whole).keys():
        excused |= {str(end) for end in aborts(_without_changed(whole, document, folder))}
    said = [
        text
        for text in failures(_mark(whole, what.kinds, document), _seen(whole, document), document)
        if not any(text.endswith(end) for end in excused)
    ]
    said += [limit.text for limit in document.limits if limit.kind == "internal_errors"]
    if any(limit.kind in ("damaged", "truncated") for limit in document.limits):
        said += [
            f"{s.name}: protected, observed, although a file is damaged"
            for s in document.services
            if s.assessment.state == "protected" and s.assessment.grade == "observed"
        ]
    return said


def tried(seed: int, folder: Path) -> tuple[str, list[str]]:
    """What was done, and what was said of it that must not be."""
    whole = base(seed // RUNS)
    what = harmed(random.Random(f"harm {seed}"), whole)
    for path in folder.iterdir():
        path.unlink()
    border = Border()
    said: list[str] = []
    with border:
        said = wrong(whole, what, folder)
    said += [f"a mistake of the program: {notice.where}" for notice in border.notices()]
    return f"seed {seed}: {whole.name}: {', '.join(what.kinds)}", said


def main(count: int, seed: int) -> int:
    started, bad, done = time.time(), Counter[str](), Counter[str]()
    with tempfile.TemporaryDirectory() as folder:
        for number in range(seed, seed + count):
            how, said = tried(number, Path(folder))
            done.update(how.split(": ", 2)[2].split(", "))
            if said:
                bad[how.split(": ", 2)[2]] += 1
                print(how, *said, sep="\n    ", flush=True)
            if (number - seed) % 1000 == 999:
                print(
                    f"{number - seed + 1} captures, {sum(bad.values())} failures, {time.time() - started:.0f} s",
                    flush=True,
                )
    print(*(f"{kind}: {times}" for kind, times in done.most_common()), sep="\n")
    print(f"{count} captures harmed, {sum(bad.values())} failures {dict(bad)}, {time.time() - started:.0f} s")
    return bool(bad)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 50_000, int(sys.argv[2]) if len(sys.argv) > 2 else 0))
