"""What is said of captures, and of files, with certificates that are odd, or that Java cannot parse."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from inspector.cli.commands import cli
from inspector.findings.comparison import compare
from inspector.findings.judge import judge
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.reports.compare import comparison_json, comparison_text
from inspector.tracking.certificates import ParsedCertificate, parse
from inspector.tui.difference import DifferenceScreen
from inspector.tui.rows import Rows
from tests import der as d
from tests.app import app_of, loaded, pressed
from tests.build import (
    DONE,
    KEY_EXCHANGE,
    Pool,
    capture,
    certificates,
    document_of,
    facts_of,
    message,
    numbered,
    record,
    server_hello,
    vector,
    written,
)
from tests.live import of_kind, watched
from tests.odd import OTHER, READ, REFUSED, UNREAD, on_curve


def story(
    data: bytes, *, went_on: bool, alert: int | None = 42, java: bool = True, rest: tuple[bytes, ...] = ()
) -> Pool:
    """A session of one back end, resumed, then declined by another that shows ``data``."""
    pool = Pool(java=java)
    pool.full(OTHER, numbered(1))
    pool.resumed(numbered(1))
    if went_on:
        pool.full(data, numbered(2), numbered(1))
        return pool
    flow = pool._begin(numbered(1))
    hello = server_hello(numbered(flow.port + (1 << 20)), numbered(2))
    flow.server_says(record(22, hello + certificates(data, *rest) + message(12, b"s" * 70) + DONE))
    if alert is not None:
        flow.client_says(record(21, bytes([2, alert])))
    pool._end(flow.close())
    return pool


@pytest.mark.parametrize("data", READ.values(), ids=READ)
def test_odd_certificates_protect(data: bytes, tmp_path: Path) -> None:
    """The shared name counts, whatever stands beside it."""
    document = document_of(written(tmp_path, story(data, went_on=True).flows))
    (service,) = document.services
    assert service.assessment.state == "protected"
    assert d.SHARED in service.assessment.because[0]
    assert "certificate-change-tolerated" not in {f.rule for f in document.findings}
    document = document_of(written(tmp_path, story(data, went_on=False).flows))
    assert document.services[0].assessment.state in ("not_this", "unknown")
    assert not [f for f in document.findings if f.rule == "certificate-change-abort"]


@pytest.mark.parametrize("alert", [42, None])
@pytest.mark.parametrize(("data", "kind"), REFUSED.values(), ids=REFUSED)
def test_an_abort_at_what_java_refuses(data: bytes, kind: str, alert: int | None, tmp_path: Path) -> None:
    """The certificate is the cause, by name, and never the change."""
    document = document_of(written(tmp_path, story(data, went_on=False, alert=alert).flows))
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "cannot be parsed by Java" in failed.title
    assert (d.OWN if parse(data).subject else parse(data).sha256.hex()[:12]) in failed.title
    assert failed.grade == "inferred"
    (limit,) = [x for x in document.limits if x.kind == "unreadable_certificate"]
    assert failed.connections == limit.connections
    told = document.connections[-1].handshakes[0].jsse
    assert (told.verdict, told.identity) == ("not_applicable", None)
    (shown,) = [c for c in document.certificates if c.sha256 == parse(data).sha256.hex()]
    assert shown.problem


@pytest.mark.parametrize("data", [REFUSED["garbage"][0], REFUSED["extension twice"][0]])
def test_who_goes_on_with_it_tolerates_nothing(data: bytes, tmp_path: Path) -> None:
    document = document_of(written(tmp_path, story(data, went_on=True).flows))
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    because = " ".join(document.services[0].assessment.because)
    assert "count as one server" not in because
    assert "went on" not in because


def test_names_that_java_does_not_read_abort(tmp_path: Path) -> None:
    """By openssl the two share a name; by Java they do not, and the finding says why."""
    document = document_of(written(tmp_path, story(UNREAD["URI without a scheme"], went_on=False).flows))
    (found,) = [f for f in document.findings if f.rule == "certificate-change-abort"]
    assert found.verdict == "confirmed"
    assert d.SHARED in found.explanation
    assert "Java reads none of them (URI)" in found.explanation


def test_a_curve_that_not_every_java_knows(tmp_path: Path) -> None:
    data = d.certificate(
        d.names(d.dns("other.example.com")), public_key=on_curve(d.oid("1.2.156.10197.1.301"), b"\4" + bytes(64))
    )
    document = document_of(written(tmp_path, story(data, went_on=False).flows))
    (found,) = [f for f in document.findings if f.rule == "certificate-change-abort"]
    assert found.verdict == "possible"
    assert "itself may be the cause" in found.explanation


def test_an_intermediate_that_java_refuses(tmp_path: Path) -> None:
    other = d.certificate(d.names(d.dns("other.example.com")))
    document = document_of(written(tmp_path, story(other, went_on=False, rest=(b"abc",)).flows))
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    assert "a certificate of the server's chain" in document.services[0].assessment.sentence


def test_other_stacks_read_what_java_refuses(tmp_path: Path) -> None:
    document = document_of(written(tmp_path, story(REFUSED["extension twice"][0], went_on=False, java=False).flows))
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "Java" not in failed.title


@pytest.mark.parametrize(
    "body", [vector(3, b""), vector(3, vector(3, b""))], ids=["empty list", "certificate of no bytes"]
)
def test_no_certificate(body: bytes, tmp_path: Path) -> None:
    pool = Pool()
    pool.full(OTHER, numbered(1))
    pool.resumed(numbered(1))
    flow = pool._begin(numbered(1))
    flow.server_says(
        record(22, server_hello(numbered(9), numbered(2)) + message(11, body) + message(12, b"s" * 70) + DONE)
    ).client_says(record(21, b"\2\x2a"))
    pool._end(flow.close())
    document = document_of(written(tmp_path, pool.flows))
    assert document.services[0].assessment.state == "not_this"
    assert not [f for f in document.findings if f.rule.startswith("certificate-change")]
    assert ("empty list" if body == vector(3, b"") else "no certificate") in document.services[0].assessment.sentence


@pytest.mark.parametrize("data", [REFUSED["extension twice"][0], b"abc", b""])
def test_client_certificates(data: bytes, tmp_path: Path) -> None:
    pool = Pool()
    flow = pool._begin(b"")
    pool._flight(flow, OTHER, numbered(1), False)
    flow.client_says(record(22, certificates(data)), KEY_EXCHANGE).server_says(record(21, b"\2\x2a"))
    pool._end(flow.close(by_client=False))
    document = document_of(written(tmp_path, pool.flows))
    (failed,) = [f for f in document.findings if f.rule == "handshake-failed"]
    assert "the client's certificate" in failed.title
    assert "cannot be parsed by Java" in failed.title


def test_a_redacted_report_says_the_same(tmp_path: Path) -> None:
    for data, _ in REFUSED.values():
        facts = facts_of(written(tmp_path, story(data, went_on=False).flows))
        first = judge(facts).complete()
        disguise = Disguise(b"key")
        again = judge(redacted_facts(facts, disguise, Remaker(disguise))).complete()
        assert [(f.rule, f.verdict) for f in first.findings] == [(f.rule, f.verdict) for f in again.findings]


def shown(*ders: bytes) -> list[ParsedCertificate]:
    return [parse(data) for data in ders]


def test_compare_what_cannot_be_read() -> None:
    comparison = compare(shown(OTHER, READ["Teletex"], REFUSED["extension twice"][0]), ["a", "b", "c"])
    assert comparison.equivalent("current") is None
    assert comparison.fixes["current"] is None
    assert [(p.old, p.new) for p in comparison.unknown()] == [(0, 2), (1, 2)]
    text = comparison_text(comparison)
    assert "3: Java cannot parse it: it has an extension twice" in text
    assert "2 of 3 pairs cannot be compared" in text
    told = json.loads(comparison_json(comparison))
    assert told["equivalent"]["current"] is None
    assert told["pairs"][1]["current"] is None
    assert [bool(c["problem"]) for c in told["certificates"]] == [False, False, True]


def test_a_fix_leaves_out_what_cannot_be_read() -> None:
    other = d.certificate(d.names(d.dns("other.example.com")))
    comparison = compare(shown(OTHER, other, REFUSED["extension twice"][0]), ["a", "b", "c"])
    for fix in comparison.fixes.values():
        assert fix is not None
        assert {a.certificate for a in fix.additions} <= {0, 1}


@pytest.mark.parametrize("data", [REFUSED["extension twice"][0], b"abc"], ids=["extension twice", "garbage"])
def test_watch_goes_on(data: bytes) -> None:
    """Live, the same is said, and what comes behind is told."""
    pool = story(data, went_on=False)
    pool.full(OTHER, numbered(7))
    lines, process = watched(capture(pool.flows), "--no-journal")
    assert process.returncode == 0, process.stderr
    assert len(of_kind(lines, "connection")) == 4
    assert [f["rule"] for f in of_kind(lines, "finding") if f["severity"] != "info"] == ["handshake-failed"]


def test_a_watched_client_certificate() -> None:
    pool = Pool()
    flow = pool._begin(b"")
    pool._flight(flow, OTHER, numbered(1), False)
    flow.client_says(record(22, certificates(REFUSED["extension twice"][0])), KEY_EXCHANGE)
    pool._end(flow.close())
    _, process = watched(capture(pool.flows), "--no-journal")
    assert process.returncode == 0, process.stderr


def run(*arguments: str | Path) -> tuple[int, str]:
    result = CliRunner().invoke(cli, [str(a) for a in arguments])
    return result.exit_code, result.output


def test_compare_as_a_command(tmp_path: Path) -> None:
    a, b, twice, garbage = (tmp_path / f"{name}.der" for name in ("a", "b", "twice", "garbage"))
    for path, data in (
        (a, OTHER),
        (b, READ["Teletex"]),
        (twice, REFUSED["extension twice"][0]),
        (garbage, b"\x30\x03abc"),
    ):
        path.write_bytes(data)
    assert run("compare", a, b)[0] == 0
    status, text = run("compare", a, twice)
    assert status == 1
    assert "Java cannot parse it" in text
    status, text = run("compare", a, b, garbage)
    assert status == 1  # what cannot be read acquits nobody
    assert "not a certificate" in text


async def test_the_screens(tmp_path: Path) -> None:
    """Notes stand in the list, the reason on the certificate's page, and two of them are compared as far
    as that goes.
    """
    pool = story(REFUSED["extension twice"][0], went_on=True)
    pool.full(UNREAD["URI without a scheme"], numbered(3))
    pool.full(b"abc", numbered(4))
    app = app_of(written(tmp_path, pool.flows))
    async with app.run_test(size=(140, 40)) as pilot:
        await loaded(pilot)
        await pressed(pilot, "5")
        rows = app.screen.query_one(Rows)
        notes = [app.screen._row(index)[-1][0] for index in range(4)]  # type: ignore[attr-defined]
        assert notes == ["", "✖ unparsable", "▲ names unread", "✖ unparsable"]
        assert rows.cursor == 0
        for place in range(4):
            await pressed(pilot, *["down"] * bool(place), "enter")
            told = "\n".join("".join(text for text, _ in line) for line in app.screen.lines(120))  # type: ignore[attr-defined]
            assert ("Java cannot parse it" in told) == (place in (1, 3))
            assert ("NAMES THAT JAVA DOES NOT READ" in told) == (place == 2)
            await pressed(pilot, "escape")
        await pressed(pilot, "home", "space", "down", "space")
        assert isinstance(app.screen, DifferenceScreen)
