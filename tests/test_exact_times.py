"""Answers of DuckDB with times in them: each question is asked once, and times are to the nanosecond wherever they
stand.
"""

from __future__ import annotations

from datetime import datetime

import pytest
from click.testing import CliRunner

from inspector.cli.commands import cli
from inspector.errors import UsageError
from tests.conftest import find

pytest.importorskip("duckdb")
pytest.importorskip("pyarrow")

from inspector.query.sql import Questions

NS = 1_700_000_000_123_456_789
TIME = f"make_timestamp_ns({NS})"
SAID = "2023-11-14T22:13:20.123456789Z"
CUT = datetime(2023, 11, 14, 22, 13, 20, 123_456)


@pytest.fixture(scope="module")
def facts(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("asked") / "facts"
    assert CliRunner().invoke(cli, ["extract", str(find("tickets")), "-o", str(folder)]).exit_code == 0
    return str(folder)


@pytest.fixture
def questions(facts: str) -> Questions:
    return Questions(facts)


def asked(questions: Questions, question: str) -> list[tuple[object, ...]]:
    return list(questions.ask(question).rows)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (TIME, SAID),
        (f"{TIME}::TIMESTAMP_NS", SAID),
        ("make_timestamp_ns(-1)", "1969-12-31T23:59:59.999999999Z"),
        ("NULL::TIMESTAMP_NS", None),
        (f"[{TIME}, NULL]", [SAID, None]),
        (f"[[{TIME}], NULL, []]", [[SAID], None, []]),
        ("NULL::TIMESTAMP_NS[]", None),
        (f"array_value({TIME}, {TIME})", [SAID, SAID]),
        (f"{{'seen': {TIME}, 'it''s \"it\"': [{TIME}], 'n': 1}}", {"seen": SAID, 'it\'s "it"': [SAID], "n": 1}),
        (f"CASE WHEN range > 5 THEN {{'seen': {TIME}}} END", None),
        (f"[{{'in': [{{'deep': {TIME}}}]}}]", [{"in": [{"deep": SAID}]}]),
        (f"row({TIME}, 'x')", [SAID, "x"]),
        (f"map(['a', 'b'], [{TIME}, NULL])", {"a": SAID, "b": None}),
        (f"map([{TIME}, make_timestamp_ns({NS + 1})], [1, 2])", {SAID: 1, SAID.replace("789", "790"): 2}),
        ("NULL::MAP(TIMESTAMP_NS, INTEGER)", None),
        ("['\\x01\\xFF'::BLOB]", ["01ff"]),
        ("{'digest': '\\x01\\xFF'::BLOB}", {"digest": "01ff"}),
    ],
)
def test_whatever_they_stand_in(questions: Questions, value: str, said: object) -> None:
    assert asked(questions, f"SELECT range, {value} FROM range(1)") == [(0, said)]


@pytest.mark.parametrize("value", [f"union_value(seen := {TIME})", f"map([[{TIME}]], [{TIME}])"])
def test_what_cannot_be_taken_apart_is_as_python_has_it(questions: Questions, value: str) -> None:
    [(exact, got)] = asked(questions, f"SELECT {TIME}, {value}")
    assert exact == SAID
    assert got is not None


@pytest.mark.parametrize(
    "question",
    [
        f"SELECT {TIME} AS t;",
        f"SELECT {TIME} AS t -- to the end;",
        f"WITH a AS (SELECT {TIME} AS t) SELECT * FROM a;;",
        f"FROM (SELECT {TIME} AS t)",
        f"SELECT 1; SELECT 2; SELECT {TIME} AS t",
        f"VALUES ({TIME})",
        f"SELECT {TIME} AS t; -- the end",
        f"SELECT {TIME} AS t /* ; */ ; /* it's ; */ ; -- 'the end",
        f"SELECT {TIME} AS t WHERE 'é;--' = 'é;--' ; -- the end",
        f"SELECT {TIME} AS t UNION SELECT {TIME}; --",
        f"PIVOT (SELECT 'a' AS name, {TIME} AS t) ON name USING max(t); -- the end",
        f"/* at first */ UNPIVOT (SELECT {TIME} AS t) ON t; SELECT {TIME}",
    ],
)
def test_however_it_is_asked(questions: Questions, question: str) -> None:
    assert asked(questions, question) == [(SAID,)]


def test_the_order_is_that_of_the_question(questions: Questions) -> None:
    rows = asked(questions, "SELECT range AS n, make_timestamp_ns(range) AS t FROM range(5000) ORDER BY -range")
    assert [number for number, _ in rows] == [*range(4999, -1, -1)]


def test_columns_of_one_name(questions: Questions) -> None:
    answer = questions.ask(f"SELECT {TIME} AS t, 1 AS t, 2 AS t_1")
    assert len({*answer.columns}) == 3
    assert answer.columns[0] == "t"
    assert list(answer.rows) == [(SAID, 1, 2)]


def test_what_a_question_does_is_done_once(questions: Questions) -> None:
    """As far as one does anything: tables of the person's own, sequences."""
    questions.ask("CREATE TABLE seen (t TIMESTAMP_NS)")
    assert asked(questions, f"INSERT INTO seen VALUES ({TIME}) RETURNING t") == [(CUT,)]
    assert asked(questions, "SELECT count(*), any_value(t) FROM seen") == [(1, SAID)]
    assert asked(questions, f"INSERT INTO seen VALUES ({TIME}); SELECT count(*) FROM seen") == [(2,)]
    assert asked(questions, f"INSERT INTO seen VALUES ({TIME}) RETURNING t; SELECT t FROM seen LIMIT 1") == [(SAID,)]
    assert asked(questions, "DELETE FROM seen RETURNING t") == [(CUT,)] * 3
    questions.ask("CREATE SEQUENCE counted")
    assert asked(questions, f"SELECT nextval('counted'), {TIME}") == [(1, SAID)]
    assert asked(questions, f"SELECT nextval('counted'), {TIME}") == [(2, SAID)]


def test_nothing_is_left_in_the_database(questions: Questions) -> None:
    before = asked(questions, "SHOW TABLES")
    assert asked(questions, f"SELECT {TIME} AS t") == [(SAID,)]
    assert asked(questions, "SHOW TABLES") == before
    questions.ask(f"CREATE VIEW exactly AS SELECT {TIME} AS t")
    assert asked(questions, "SELECT t FROM exactly") == [(SAID,)]


def test_pivoted_times(questions: Questions) -> None:
    """What is in the cells names the columns."""
    asked(questions, f"CREATE TABLE seen AS SELECT {TIME} AS t, 'a' AS name UNION ALL SELECT {TIME}, 'b'")
    answer = questions.ask("PIVOT seen ON name USING max(t)")
    assert answer.columns == ("a", "b")
    assert list(answer.rows) == [(SAID, SAID)]
    assert asked(questions, "PIVOT seen ON name IN ('a', 'b') USING max(t)") == [(SAID, SAID)]


def test_an_answer_that_is_not_read_holds_up_no_other(questions: Questions) -> None:
    for _ in range(3):
        answer = questions.ask("SELECT make_timestamp_ns(range) FROM range(100000)")
        assert next(answer.rows) == ("1970-01-01T00:00:00.000000000Z",)


@pytest.mark.parametrize("question", ["", "-- nothing", "SELECT nothing FROM nowhere", "SELECT (", f"SELECT {TIME}, ?"])
def test_what_cannot_be_asked(questions: Questions, question: str) -> None:
    with pytest.raises(UsageError):
        asked(questions, question)


def test_a_mistake_behind_the_first_rows_is_named(facts: str) -> None:
    said = CliRunner().invoke(cli, ["query", facts, f"SELECT {TIME}, error('boom') FROM connections"])
    assert isinstance(said.exception, UsageError)
    assert "boom" in str(said.exception)
