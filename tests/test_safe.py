"""The one door for strings from the wire, and the filter language."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from inspector.errors import UsageError
from inspector.query import language as filters
from inspector.query.arrays import Columns
from inspector.query.fields import FIELDS, STACKS
from inspector.query.filter_tokens import FilterError
from inspector.query.language import compile_filter
from inspector.text.cells import is_settled
from inspector.text.safe import csv_cell, path_text, safe_text
from inspector.text.times import LATEST_NS, day, rfc3339, rfc3339_signed, span
from tests.conftest import bundled


@given(st.text())
def test_safe_text_is_printable(text: str) -> None:
    found = safe_text(text, 10_000)
    assert found.isprintable()
    assert all(map(is_settled, found))
    assert found == text or not all(map(is_settled, text))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("\x1b]52;c;x\x07", "\\x1b]52;c;x\\x07"),
        ("a\u202eb", "a\\u202eb"),
        ("\x9b31m", "\\x9b31m"),
        ("\udcff", "\\udcff"),
        ("\U000e0041", "\\U000e0041"),
        ("Zürich", "Zürich"),
        ("日本電気株式会社", "日本電気株式会社"),
        ("한국전력", "한국전력"),
        ("Λευκωσία, Москва", "Λευκωσία, Москва"),
        ("Zu\u0308rich", "Zu\\u0308rich"),
        ("ירושלים"[:2], "\\u05d9\\u05e8"),
        ("\u2764\ufe0f", "\u2764\\ufe0f"),
        ("👩\u200d💻", "\\U0001f469\\u200d\\U0001f4bb"),
        ("a\u00a0b\u3000c", "a\\xa0b\\u3000c"),
        ("x" * 400, "x" * 299 + "…"),
    ],
)
def test_safe_text(text: str, expected: str) -> None:
    assert safe_text(text) == expected


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", "|calc", "%x"])
def test_formulas_become_text(text: str) -> None:
    cell = csv_cell(text)
    assert isinstance(cell, str)
    assert cell.startswith("'") or not cell.startswith(tuple("=+-@|%"))


def test_numbers_stay_numbers() -> None:
    assert csv_cell(5) == 5
    assert csv_cell("5") == "5"


def test_paths() -> None:
    assert path_text("a\udcffb") == "a\\xffb"


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_times_never_fail(ns: int) -> None:
    assert rfc3339(ns).endswith("Z")
    assert rfc3339_signed(min(ns, LATEST_NS)).endswith("Z")
    assert len(day(ns)) == 10
    assert span(ns)


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (400_000, "0.4 ms"),
        (38_900_000_000, "38.9 s"),
        (7_500_000_000_000, "2 h 05 min"),
        (532_800_000_000_000, "6 d 4 h"),
        (-1_000_000, "-1.0 ms"),
    ],
)
def test_spans(ns: int, text: str) -> None:
    assert span(ns) == text


@lru_cache
def columns() -> Columns:
    return Columns(bundled("puppet-session-ids"))


def matching(expression: str) -> int:
    """How many match; the same by the columns of all fields and by those that are named."""
    analysis = bundled("puppet-session-ids")
    test = compile_filter(expression)
    is_wanted = filters.matching(test, analysis)
    indexes = [o.index for o in analysis.case.observed if is_wanted(o)]
    assert indexes == columns().matching(test).tolist()
    return len(indexes)


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        ("outcome:aborted", 23),
        ("OUTCOME:Aborted", 23),
        ("-outcome:aborted", 154),
        ("outcome:aborted backend:A", 9),
        ("outcome:aborted (backend:A or backend:B)", 16),
        ("outcome:aborted -(backend:A or backend:B)", 7),
        ("kind:session_id", 26),
        ("kind:full declined:no", 26),
        ("declined:yes", 125),
        ("cert~puppetdb2 outcome:aborted", 9),
        ("cert:*.example.com kind:full", 151),
        ("rule:certificate-change-abort outcome:aborted", 23),
        ("row>5 row<7", 23),
        ("rtt<1h", 177),
        ("rtt>1min", 0),
        ("bytes>=1KB outcome:aborted", 23),
        ('"puppetdb.example.com" version:TLSv1.2', 177),
        ("ems:no", 177),
        ("ems:true", 0),
        ("stack:jsse", 177),
        ("port:8081", 177),
        ("rtt:none", 0),
        ("port:443 or port:8081", 177),
        ("gap_bytes:0", 177),
        ("gap:0 gap<1KB", 177),
        ("alert:42 or alert:certificate_unknown or alert:255", 0),
        ("version:*1.2", 177),
        ("nothing-like-this", 0),
        ("-nothing-like-this", 177),
    ],
)
def test_filters(expression: str, count: int) -> None:
    assert matching(expression) == count


@pytest.mark.parametrize("field", [f.name for f in FIELDS])
def test_every_field_can_be_asked(field: str) -> None:
    assert 0 <= matching(f"{field}:none") <= 177
    assert matching(f"{field}:none") + matching(f"-{field}:none") == 177


@pytest.mark.parametrize(
    ("expression", "column"),
    [
        ("outcome:aborted nosuch:1", 17),
        ("(outcome:aborted", 1),
        ("rtt>fast", 5),
        ("outcome:aborted )", 17),
        ("", 1),
        ("a or", 5),
    ],
)
def test_mistakes_point_at_their_column(expression: str, column: int) -> None:
    with pytest.raises(FilterError) as caught:
        compile_filter(expression)
    assert isinstance(caught.value, UsageError)
    assert caught.value.column == column


NO_VALUES = [
    ("outcome:abc", "established, aborted, incomplete"),
    ("-outcome:abc", "established, aborted, incomplete"),
    ("(kind:full or outcome:abc)", "established, aborted, incomplete"),
    ("outcome:ab*c", "established, aborted, incomplete"),
    ("outcome~abc", "established, aborted, incomplete"),
    ('outcome:""', "established, aborted, incomplete"),
    ("kind:resume", "session_id, ticket"),
    ("declined:maybe", "yes, no"),
    ("ems:1", "yes, no"),
    ("health_check:aborted", "yes, no"),
    ("jsse:rejects", "accepts, aborts"),
    ("renegotiation:done", "completed, declined"),
    ("version:TLS1.2", "TLSv1.2"),
    ("cipher:TLS_RSA_WITH_AES_128_CBC_SHA1", "TLS_RSA_WITH_AES_128_CBC_SHA"),
    ("alert:bad_cert", "bad_certificate"),
    ("stack:java", "jsse"),
]


@pytest.mark.parametrize(("expression", "known"), NO_VALUES)
def test_a_value_that_there_cannot_be_is_refused(expression: str, known: str) -> None:
    with pytest.raises(FilterError, match="has no value") as caught:
        compile_filter(expression)
    assert known in str(caught.value)
    assert expression[caught.value.column - 1 :].startswith(re.split("[:~]", expression)[-1])


@pytest.mark.parametrize("field", [f for f in FIELDS if f.values], ids=lambda f: f.name)
def test_every_value_that_there_is_can_be_asked(field: Any) -> None:
    for value in (*field.values, "none"):
        for expression in (
            f"{field.name}:{value}",
            f"-{field.name}:{value}",
            f"{field.name}~{value}",
            f"{field.name}:*{value[1:]}",
        ):
            compile_filter(expression)


@pytest.mark.parametrize(
    "expression",
    [
        "gap>5ms",
        "bytes>5ms",
        "rtt>5MB",
        "port:abc",
        "port>1s",
        "frame<1KB",
        "rtt:soon",
        "row:x",
        "outcome>abc",
        "alert>40",
        "version>=TLSv1.2",
    ],
)
def test_numbers_have_the_units_of_their_field(expression: str) -> None:
    with pytest.raises(FilterError, match=r"wants a|has no order"):
        compile_filter(expression)


def test_the_stacks_that_clients_are_told_by_can_be_asked() -> None:
    text = (Path(__file__).parent.parent / "inspector" / "tracking" / "clients.py").read_text(encoding="utf-8")
    assert set(re.findall(r'Stack\("(\w+)"', text)) == set(STACKS)


TERMS = st.one_of(
    st.builds(
        "{}{}{}".format,
        st.sampled_from([f.name for f in FIELDS]),
        st.sampled_from([":", "~"]),
        st.sampled_from(["none", "yes", "b", "*a*", '""', "7", "aborted", "full"]),
    ),
    st.builds(
        "{}{}{}".format,
        st.sampled_from(["rtt", "bytes", "port", "row", "gap"]),
        st.sampled_from(["<", "<=", ">", ">="]),
        st.sampled_from(["1ms", "2KB", "7", "40000"]),
    ),
    st.sampled_from(['"puppetdb"', "tls", "or", "(outcome:aborted or kind:full)", "-declined:yes"]),
)


@settings(max_examples=40)
@given(st.lists(TERMS, min_size=1, max_size=4))
def test_what_does_not_match_is_the_rest(terms: list[str]) -> None:
    expression = " ".join(terms)
    try:
        count = matching(expression)
        assert matching(f"-({expression})") == columns().count - count
        assert matching(f"({expression}) or -({expression})") == columns().count
        assert matching(f"({expression}) -({expression})") == 0
    except FilterError as error:
        assert "or" in terms or "has no value" in str(error) or "wants a" in str(error)


@given(st.text(max_size=40))
def test_any_expression_gives_a_filter_or_a_named_error(expression: str) -> None:
    try:
        compile_filter(expression)
    except FilterError as error:
        assert error.column >= 1
