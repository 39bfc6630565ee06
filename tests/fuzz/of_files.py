"""Targets of what the program wrote itself, or a person did: journals, analyses, bundles, settings, filters, messages
between processes, files that grow.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import msgspec

from inspector.bundle.manifest import NAME, SCHEMA as BUNDLE_SCHEMA, Manifest, load
from inspector.bundle.verify import verify
from inspector.document import Document, Generator
from inspector.errors import InspectorError, UnreadableError, UsageError
from inspector.errors.internal import Border
from inspector.extract.journal import Journal, read_facts, values
from inspector.extract.journal.database import DamagedError
from inspector.facts import Facts
from inspector.findings.before_after import before_after
from inspector.findings.judge import Analysis, judge
from inspector.live.keeping import Keeping
from inspector.live.sources import sniff_messages
from inspector.live.sources.tail import FileTail
from inspector.query.coded import coded
from inspector.query.filter_tokens import FilterError
from inspector.query.language import compile_filter
from inspector.reports.before_after import before_after_json, before_after_text
from inspector.reports.json_stream import read_json, write_json
from inspector.settings import name as give_names, parse
from tests.build import Pool, capture, certificate, facts_of, numbered
from tests.live import listened


@lru_cache(maxsize=1)
def _folder() -> Path:
    folder = tempfile.TemporaryDirectory()
    FOLDERS.append(folder)
    return Path(folder.name)


FOLDERS: list[tempfile.TemporaryDirectory[str]] = []


def _pool() -> Pool:
    pool = Pool()
    pool.full(certificate("puppetdb1"), numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(certificate("puppetdb2"), numbered(2), numbered(1))
    return pool


@lru_cache(maxsize=1)
def _facts() -> Facts:
    path = _folder() / "built.pcap"
    path.write_bytes(capture(_pool().flows))
    return facts_of(path)


@lru_cache(maxsize=1)
def _analysis() -> Analysis:
    analysis = judge(_facts())
    analysis.complete()
    return analysis


@lru_cache(maxsize=1)
def _document() -> Document:
    return _analysis().document


def stored_connection(data: bytes) -> None:
    """A connection as a journal holds it: what is taken can be judged."""
    known = _facts()
    facts = Facts(offers=dict(known.offers), answers=dict(known.answers), captures=list(known.captures))
    try:
        values.shape_keys(data)
        facts.connections = [values.connection("x", data, facts, 1)]
    except DamagedError as error:
        assert str(error)
        return
    facts.certificates = dict(known.certificates)
    judge(facts).complete()


def stored_values(data: bytes) -> None:
    """Captures, shapes, certificates and lists of authorities as a journal holds them."""
    digest = hashlib.sha256(data).digest()
    assert values.certificate(digest, data) == (digest, data)
    assert values.authorities(digest, data) == (digest, data)
    for read in (
        lambda: values.captures([data]),
        lambda: values.shape(data[:8], 1, data[8:], Facts()),
        lambda: values.shape(data[:8], 0, data[8:], Facts()),
    ):
        try:
            read()
        except DamagedError as error:
            assert str(error)


@lru_cache(maxsize=1)
def _journal() -> bytes:
    path = _folder() / "honest.sqlite"
    listened(capture(_pool().flows), Keeping(journal=Journal(str(path), 1 << 30, "test")))
    return path.read_bytes()


def journal(data: bytes) -> None:
    """Patches of a journal's file: two bytes of page, two of place, one of length, and the bytes."""
    whole = bytearray(_journal())
    at = 0
    while at + 5 <= len(data):
        place = int.from_bytes(data[at : at + 2], "big") % (len(whole) // 512) * 512
        place += int.from_bytes(data[at + 2 : at + 4], "big") % 512
        patch = data[at + 5 : at + 5 + data[at + 4]]
        whole[place : place + len(patch)] = patch
        at += 5 + len(patch)
    path = _folder() / "patched.sqlite"
    path.write_bytes(whole)
    try:
        judge(read_facts(str(path))).complete()
    except UnreadableError as error:
        assert str(error)


def analysis(data: bytes) -> None:
    """An analysis as ``diff`` reads it, before and after a change."""
    path = _folder() / "analysis.json"
    path.write_bytes(data)
    try:
        document = read_json(str(path))
    except UnreadableError as error:
        assert str(error)
        return
    for one, other in ((document, _document()), (_document(), document)):
        difference = before_after(one, other)
        before_after_text(difference, one, other)
        before_after_json(difference)


def settings(data: bytes) -> None:
    """A settings file."""
    try:
        read = parse(data.decode("utf-8", "replace"), "x")
        read.check("keys", read.keys, ("quit",))
    except UsageError as error:
        assert "\n" not in str(error)
        return
    give_names(msgspec.convert(msgspec.to_builtins(_document()), Document), read)


def filter_expression(data: bytes) -> None:
    """An expression of the filter language: a mistake has its column, and what is understood selects."""
    expression = data.decode("utf-8", "replace")
    try:
        test = compile_filter(expression)
    except FilterError as error:
        assert 1 <= error.column <= len(expression) + 1, error.column
        return
    mask = test.select(coded(_analysis(), list(dict.fromkeys(test.fields()))))
    assert len(mask) == len(_document().connections)


def manifest(data: bytes) -> None:
    """The manifest of a bundle, and what verifies it."""
    folder = _folder() / "bundle"
    folder.mkdir(exist_ok=True)
    (folder / NAME).write_bytes(data)
    try:
        load(folder)
        assert verify(str(folder)).sentence
    except InspectorError as error:
        assert str(error)


def process_message(data: bytes) -> None:
    """What the capturing process is told, and reports: what is understood is written the same again. Both ends are this
    program, so that a mistake needs no name.
    """
    with contextlib.suppress(ValueError, RecursionError):
        report = sniff_messages.decode_report(data)
        line = sniff_messages.encoded(report)
        assert line.isascii()
        assert "\n" not in line
        assert sniff_messages.decode_report(line.encode()) == report
    with contextlib.suppress(ValueError, RecursionError):
        options = sniff_messages.decode_options(data.decode("latin-1"))
        assert sniff_messages.decode_options(sniff_messages.encoded(options)) == options


def tail(data: bytes) -> None:
    """A file that grows, is cut, replaced, moved away and taken away between reads: what was written is read once, in
    order, and nothing else.
    """
    path = _folder() / "grows"
    path.write_bytes(b"")
    follower = FileTail(str(path))
    written = read = b""
    try:
        for number, what in enumerate(data[:64]):
            piece = b"%d:%d\n" % (number, what)
            match what % 8:
                case 0 | 1 | 2:
                    with path.open("ab") as file:
                        file.write(piece)
                    written += piece
                case 3:
                    read = _drained(follower, read)
                    path.with_suffix(".new").write_bytes(piece)
                    os.replace(path.with_suffix(".new"), path)
                    written += piece
                case 4:
                    read = _drained(follower, read)
                    path.write_bytes(b"")
                    read = _drained(follower, read)
                case 5:  # what nobody opened in time is lost
                    read = _drained(follower, read)
                    path.unlink(missing_ok=True)
                case 6 if not path.exists():
                    path.write_bytes(piece)
                    written += piece
                case _:
                    read = _drained(follower, read)
            if not path.exists():
                read = _drained(follower, read)
                path.write_bytes(b"")
        assert _drained(follower, read) == written, (read, written)
    finally:
        follower.close()


def _drained(follower: FileTail, read: bytes) -> bytes:
    for _ in range(8):
        data, is_new = follower.read()
        read += data
        if not data and not is_new:
            break
    return read


def _json() -> Iterator[bytes]:
    out = io.BytesIO()
    write_json(_analysis(), None, out)
    yield out.getvalue()
    document = _document()
    yield msgspec.json.encode({"schema": document.schema, "generator": document.generator})


def _stored() -> Iterator[bytes]:
    known = _facts()
    for offer in known.offers.values():
        yield offer.key + msgspec.msgpack.encode(offer)
    for answer in known.answers.values():
        yield answer.key + msgspec.msgpack.encode(answer)
    yield from map(msgspec.msgpack.encode, known.captures)


def _reports() -> Iterator[bytes]:
    sniff = sniff_messages
    for message in (
        sniff.CaptureOpened("libpcap 1.10", "libpcap"),
        sniff.CaptureFailed("device", "no"),
        sniff.CaptureLost("gone"),
        sniff.CaptureBack(),
        sniff.PacketCounts(1, 2),
        sniff.FramesReady(0, 4096),
        sniff.SniffOptions("eth0", "tcp", None, 262_144, 8, True, "any"),
    ):
        yield sniff.encoded(message).encode()


SEEDS: dict[str, Callable[[], Iterator[bytes]]] = {
    "stored_connection": lambda: iter(_facts().connections),
    "stored_values": _stored,
    "journal": lambda: iter((b"", b"\0\0\0\0\1x", b"\0\3\1\0\4\xff\xff\xff\xff")),
    "analysis": _json,
    "settings": lambda: iter(
        (
            b'theme = "nord"\nascii = false\n[names.services]\n"a:1" = "b"\n[names.backends]\n"10.0.0.1" = "db1"\n',
            b'[names.clients]\n"10.0.0.9" = "x"\n[keys]\nquit = "ctrl+x"\n[columns]\nconnections = ["time", "kind"]\n',
            b"[keys]\nother = 1\n",
        )
    ),
    "filter_expression": lambda: iter(
        (
            b'outcome:aborted backend:B cert~puppetdb1 rtt>5ms -kind:full "text"',
            b"(port:8081 or declined:yes) -(bytes<=1MB version:TLSv1.*)",
            b"rtt>=0.5us or",
        )
    ),
    "manifest": lambda: iter(
        (
            msgspec.json.encode(
                Manifest(
                    created="2026-11-23T17:00:00Z",
                    generator=Generator(name="inspector", version="1"),
                    command=[],
                    host="h",
                    clock="",
                    inputs=[],
                    generation="current",
                    vips=["a:1"],
                    evidence=None,
                    no_evidence="",
                    redacted=None,
                    files={NAME: "00", "../x": "", "a": "b"},
                    schema=BUNDLE_SCHEMA,
                )
            ),
        )
    ),
    "process_message": _reports,
    "tail": lambda: iter((bytes((0, 7, 1, 3, 0, 7, 4, 0, 7, 5, 6, 7)), bytes(range(30)))),
}


def prepare() -> None:
    """Mistakes of the program are loud."""
    Border.is_loud = True
