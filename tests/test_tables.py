"""Facts as tables: the same analysis as of the captures, and nothing that was altered is believed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from inspector.cli.commands import cli
from inspector.errors import InspectorError, OutputError, UnreadableError, UsageError
from inspector.extract.journal import Journal
from inspector.extract.processes import extract
from inspector.extract.tables import PartWriter, read_tables
from inspector.extract.tables.inputs import Origin, PartPlan
from inspector.extract.tables.manifest import TABLES, parts_of
from inspector.facts import Facts
from inspector.live.keeping import Keeping
from tests.build import Flow, Pool, capture, certificate, numbered, written
from tests.live import listened

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

CAPTURES = Path(__file__).parent.parent / "captures"
SESSIONS, LEGS = CAPTURES / "puppet-session-ids.pcap.gz", CAPTURES / "both-legs.pcapng.gz"
ALL = sorted(CAPTURES.glob("*.pcap*.gz"))


def command(*words: str | Path) -> Result:
    """The command, in this process; errors of ours are raised."""
    return CliRunner().invoke(cli, [str(word) for word in words], standalone_mode=False, catch_exceptions=False)


def extracted(directory: Path, *words: str | Path) -> Path:
    command("extract", *words, "-o", directory)
    return directory


def document(*paths: str | Path) -> bytes:
    """The whole analysis as JSON."""
    return command("analyze", *paths, "-T", "json").stdout_bytes


def full(pool: Pool, number: int) -> Flow:
    """A connection with a full handshake."""
    return pool.full(certificate(f"pool{number}.example"), numbered(number))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return extracted(tmp_path_factory.mktemp("made") / "facts", SESSIONS)


@pytest.mark.parametrize("path", ALL, ids=lambda path: path.name.split(".")[0])
def test_the_analysis_of_facts_is_that_of_the_capture(path: Path, tmp_path: Path) -> None:
    key_log = path.with_name(path.name.split(".")[0] + ".keylog")
    beside = ["--keylog", str(key_log)] if key_log.exists() else []
    facts = extracted(tmp_path / "facts", path, *beside)
    assert document(facts) == command("analyze", path, *beside, "-T", "json").stdout_bytes


def test_journals_captures_and_facts_are_one_story(tmp_path: Path) -> None:
    pool = Pool()
    first, second = full(pool, 1), full(pool, 2)
    journal = tmp_path / "j.sqlite"
    listened(capture([first]), Keeping(journal=Journal(str(journal), 1 << 24, "eth0")))
    later = written(tmp_path, [second], "later.pcap")
    facts = extracted(tmp_path / "facts", journal)
    assert len(parts_of(str(facts)).manifests) == 1
    expected = json.loads(document(journal, later))
    for inputs in ([facts, later], [later, facts], [extracted(tmp_path / "both", journal, later)]):
        got = json.loads(document(*inputs))
        assert got["connections"] == expected["connections"]
        assert got["services"] == expected["services"]
        assert len(got["connections"]) == 2


def test_what_was_extracted_is_not_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, [full(Pool(), 1)])
    facts = extracted(tmp_path / "facts", path)
    before = {file: file.stat().st_mtime_ns for file in facts.rglob("*") if file.is_file()}
    again = command("extract", path, "-o", facts)
    assert "nothing was read again" in again.output
    assert {file: file.stat().st_mtime_ns for file in facts.rglob("*") if file.is_file()} == before
    moved = path.rename(tmp_path / "moved.pcap")
    assert "nothing was read again" in command("extract", moved, "-o", facts).output


def test_extracted_twice_is_the_same_byte_by_byte(tmp_path: Path) -> None:
    one, other = (extracted(tmp_path / name, SESSIONS, LEGS) for name in ("one", "other"))
    files = sorted(file.relative_to(one) for file in one.rglob("*") if file.is_file())
    assert [(one / file).read_bytes() for file in files] == [(other / file).read_bytes() for file in files]


def test_a_file_that_grew_replaces_its_part(tmp_path: Path) -> None:
    pool = Pool()
    flows = [full(pool, 1)]
    path = written(tmp_path, flows)
    facts = extracted(tmp_path / "facts", path)
    written(tmp_path, [*flows, full(pool, 2)])
    said = command("extract", path, "-o", facts).output
    assert "as they were before, is gone" in said
    assert len(read_tables(str(facts)).connections) == 2
    assert len(list(facts.rglob("*.parquet"))) == sum(len(m.files) for m in parts_of(str(facts)).manifests)


def test_two_hosts_write_to_one_directory(tmp_path: Path) -> None:
    pool = Pool()
    paths = [written(tmp_path, [full(pool, at)], f"{name}.pcap") for at, name in enumerate("ab")]
    facts = tmp_path / "facts"
    for path in paths:
        command("extract", path, "-o", facts, "--vantage", path.stem)
    assert {manifest.vantage for manifest in parts_of(str(facts)).manifests} == {"a", "b"}
    analysis = json.loads(document(facts))
    assert analysis["connections"] == json.loads(document(*paths))["connections"]
    assert [capture["host"] for capture in analysis["captures"]] == ["a", "b"]
    lines = command("analyze", facts, "-Y", "host:b", "-T", "jsonl", "--fail-on", "never").output.splitlines()
    shown = [record["id"] for record in map(json.loads, lines) if record["record"] == "connections"]
    assert shown == [analysis["connections"][1]["id"]]


def test_an_empty_directory_of_facts(tmp_path: Path) -> None:
    PartWriter(str(tmp_path / "facts"))
    with pytest.raises(UnreadableError, match="holds no facts yet"):
        read_tables(str(tmp_path / "facts"))


def test_a_directory_of_something_else_stays_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("x")
    with pytest.raises(OutputError, match="something else"):
        PartWriter(str(tmp_path))
    assert os.listdir(tmp_path) == ["mine"]


def test_connections_of_any_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Damaged stamps claim any time; days are directories, of which there are not too many."""
    monkeypatch.setattr("inspector.extract.tables.columns.MOST_DAYS", 3)
    day, facts = 86_400 * 1_000_000_000, Facts()
    first = extract([str(SESSIONS)])
    facts.captures, facts.offers, facts.answers = first.captures, first.offers, first.answers
    facts.certificates = first.certificates
    for number, packed in enumerate(first.connections[:10]):
        connection = first.unpack(packed)
        connection.handshake.hello_ns = number * 1_000 * day - 2_000 * day
        facts.add(connection)
    PartWriter(str(tmp_path / "facts")).write(facts, PartPlan((), ()), Origin("here", False, ""))
    assert len(list((tmp_path / "facts").glob("connections/*/*"))) == 4
    assert read_tables(str(tmp_path / "facts")).connections == facts.connections


def test_redacted_facts_name_nobody(tmp_path: Path) -> None:
    key = tmp_path / "key"
    facts = tmp_path / "facts"
    command("extract", SESSIONS, "-o", facts, "--vantage", "compiler7.example", "--redact-key", key)
    plain = document(SESSIONS)
    analysis = json.loads(plain)
    names = {service["name"] for service in analysis["services"]} | {"compiler7", SESSIONS.name, "puppet-session"}
    names |= {connection["client_endpoint"]["ip"] for connection in analysis["connections"]}
    names |= {connection["server_endpoint"]["ip"] for connection in analysis["connections"]}
    shown = [document(facts).decode()]
    shown += [command("query", facts, f"select * from {table}", "-T", "csv").output for table in TABLES]
    shown += [str(path) + path.read_text() for path in facts.glob("parts/*")]
    shown += [str(path) for path in facts.rglob("*")]
    assert not [name for name in names if name and any(name in text.replace(str(tmp_path), "") for text in shown)]
    redacted = json.loads(document(facts))
    assert [c["outcome"] for c in redacted["connections"]] == [c["outcome"] for c in analysis["connections"]]
    assert [s["assessment"]["state"] for s in redacted["services"]] == [
        s["assessment"]["state"] for s in analysis["services"]
    ]
    assert (
        "nothing was read again"
        in command("extract", SESSIONS, "-o", facts, "--vantage", "compiler7.example", "--redact-key", key).output
    )


USELESS: list[tuple[list[str], str]] = [
    (["-", "-o", "facts"], "standard input"),
    ([str(SESSIONS), "-o", "facts", "--vip", "puppetdb:8081"], "takes everything"),
    (["missing.pcap", "-o", "facts"], "missing.pcap"),
    ([str(Path(__file__)), "-o", "facts"], "not a pcap"),
]


@pytest.mark.parametrize(("words", "expected"), USELESS, ids=[row[1] for row in USELESS])
def test_what_cannot_be_extracted(
    words: list[str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InspectorError, match=expected):
        command("extract", *words)
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("words", "missing", "extra"),
    [
        (["extract", str(SESSIONS), "-o", "facts"], "pyarrow", "fleet"),
        (["analyze", "{made}"], "pyarrow", "fleet"),
        (["query", "{made}", "select 1"], "duckdb", "query"),
        (["watch", "-", "--no-journal", "--metrics-listen", "0"], "prometheus_client", "metrics"),
    ],
    ids=lambda value: value if isinstance(value, str) else value[0],
)
def test_without_the_extra_one_clear_error_names_it(
    words: list[str], missing: str, extra: str, made: Path, tmp_path: Path
) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None\nfrom inspector.cli import run; run()"
    done = subprocess.run(
        [sys.executable, "-c", program, *(word.format(made=made) for word in words)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(CAPTURES.parent)},
    )
    assert done.returncode == 2
    assert f"pip install 'vip-inspector[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 2


def test_the_extras_are_not_loaded_without_need() -> None:
    program = (
        "import sys; from inspector.cli.commands import cli;"
        "cli(['analyze', '--fail-on', 'never', sys.argv[1]], standalone_mode=False);"
        "extras = ('pyarrow', 'duckdb', 'distributed', 'dask', 'polars', 'prometheus_client');"
        "print([name for name in extras if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program, str(LEGS)], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Facts in which a name is meant for a terminal, a spreadsheet or a query."""
    pool = Pool(name="=cmd|'/c calc'!A1\x1b[2J'; drop table connections")
    return extracted(tmp_path / "facts", written(tmp_path, [full(pool, 1)]))


@pytest.mark.parametrize("form", ["text", "csv", "jsonl"])
def test_answers_are_safe(hostile: Path, form: str) -> None:
    done = command("query", hostile, "select server_name from connections", "-T", form)
    assert done.exit_code == 0
    assert "\x1b" not in done.output
    assert not any(line.startswith("=") for line in done.output.splitlines()) or form == "text"


def test_a_question_that_cannot_be_answered(made: Path) -> None:
    with pytest.raises(UsageError, match="nothing"):
        command("query", made, "select nothing from nowhere")


def test_tables_and_columns_are_listed(made: Path) -> None:
    listed = command("query", made).output
    assert [table for table in TABLES if f"{table}\n" in listed] == list(TABLES)
    assert "packed" in listed


def test_nothing_is_there_to_ask(tmp_path: Path) -> None:
    PartWriter(str(tmp_path))
    answer = command("query", tmp_path, "select count(*) as n, count(day) as days from connections", "-T", "csv").output
    assert answer.splitlines() == ["n,days", "0,0"]


FLEET = (Path(__file__).parent.parent / "docs" / "fleet.md").read_text(encoding="utf-8")
QUESTIONS = re.findall(r"([^\n]+)\n\n```sql\n(.*?)```", FLEET, re.DOTALL)


@pytest.mark.parametrize("question", [sql for _, sql in QUESTIONS], ids=[words[:40] for words, _ in QUESTIONS])
def test_the_cookbook(made: Path, question: str) -> None:
    lines = command("query", made, question, "-T", "jsonl").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    if "90 DAYS" not in question:
        assert rows
        assert not any(set(row.values()) == {None} for row in rows)


def test_the_matrix_is_that_of_the_analysis(made: Path) -> None:
    """Sessions by the member that issued them, as the analysis counts them and as SQL does."""
    [question] = [sql for _, sql in QUESTIONS if "issued" in sql]
    rows = [json.loads(line) for line in command("query", made, question, "-T", "jsonl").stdout.splitlines()]
    analysis = json.loads(document(SESSIONS))
    subject = {certificate["sha256"]: certificate["subject"] for certificate in analysis["certificates"]}
    handshakes = [(c["outcome"], c["handshakes"][0]) for c in analysis["connections"]]
    issuer = {
        h["session"]["answered_id"]: h["server_chain"][0]
        for _, h in handshakes
        if h["kind"] == "full" and h["session"]["answered_id"] and h["server_chain"]
    }
    expected: Counter[tuple[str, str, bool]] = Counter()
    for outcome, h in handshakes:
        if h["session"]["offered_id"] in issuer:
            other = subject[h["server_chain"][0]] if h["server_chain"] else "resumed"
            expected[subject[issuer[h["session"]["offered_id"]]], other, outcome == "aborted"] += 1
    asked = {(row["session_of"], row["answered_by"]): (row["connections"], row["aborted"]) for row in rows}
    assert asked == {
        (of, by): (expected[of, by, False] + expected[of, by, True], expected[of, by, True]) for of, by, _ in expected
    }
    assert len(asked) == 9


def test_from_python(made: Path) -> None:
    [code] = re.findall(r"```python\n(.*?)connections.to_pandas", FLEET, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code.replace('"facts/', f'"{made}/'), names)
    assert names["connections"].num_rows == len(extract([str(SESSIONS)]).connections)
    assert set(names["connections"].column("vantage").to_pylist()) == {socket.gethostname()}
