"""Filters as people write them who know others: each way means the same, and what means nothing is an error, never a
filter that nothing matches.
"""

from __future__ import annotations

import pytest

from inspector.query.completion import completions
from inspector.query.filter_tokens import FilterError
from inspector.query.language import compile_filter, matching
from tests.conftest import bundled


def matched(expression: str) -> list[str]:
    analysis = bundled("puppet-session-ids")
    is_wanted = matching(compile_filter(expression), analysis)
    return [observed.id for observed in analysis.case.observed if is_wanted(observed)]


@pytest.mark.parametrize(
    ("ours", "written"),
    [
        ("outcome:aborted", ["outcome==aborted", "outcome == aborted", "outcome=aborted", 'outcome eq "aborted"']),
        ("-outcome:aborted", ["outcome!=aborted", "outcome != aborted", "outcome ne aborted", "! outcome:aborted"]),
        (
            "-outcome:aborted",
            ["!(outcome == aborted)", "not outcome:aborted", "!!!outcome=aborted"],
        ),
        ("outcome:aborted backend:B", ["outcome == aborted && backend == B", "outcome eq aborted and backend eq B"]),
        (
            "backend:A or backend:B",
            ["backend==A||backend==B", "backend:A OR backend=B"],
        ),
        ("(backend:A or backend:B) declined:yes", ["(backend == A or backend == B) and declined == true"]),
        ("rtt>0.1ms", ["rtt > 0.1ms", "rtt > 0.1 ms", "rtt gt 0.1 ms", "rtt > 100 µs"]),
        ("rtt<=0.1ms", ["rtt <= 0.1ms", "rtt le 0.1 ms", "!(rtt > 0.1ms) and rtt != none"]),
        ("bytes>=1KB", ["bytes >= 1 KB", "bytes ge 1000", "bytes>=1kb"]),
        ("cert~puppetdb1", ["cert contains puppetdb1", "cert ~ puppetdb1", 'cert contains "puppetdb1"']),
        ("cert:*puppetdb1*", ["cert == *puppetdb1*", "cert=*puppetdb1*"]),
        ("port:8081", ["port == 8081", "port eq 8081", "port=8081"]),
        ("-outcome:aborted", ["NOT(outcome:aborted)"]),
        ("gap_bytes:0", ["gap == 0", "gap=0"]),
        ('"CN=puppetdb1"', ["CN=puppetdb1"]),
        ("client:10.0.0.1", ["client == 10.0.0.1"]),
        ("client:10.0.0.1 s", ['client:10.0.0.1 "s"', "client == 10.0.0.1 && s"]),
        ("-outcome:aborted", ["-!!outcome:aborted", "!-!outcome:aborted"]),
        ("rtt>0.1ms -outcome:aborted", ["rtt > 0.1 ms&&!outcome:aborted"]),
    ],
)
def test_each_way_means_the_same(ours: str, written: list[str]) -> None:
    expected = matched(ours)
    assert [matched(one) for one in written] == [expected] * len(written)


def test_what_stands_above_is_not_always_nothing_or_everything() -> None:
    count = len(matched("port:8081"))
    for expression in ("outcome == aborted", "outcome != aborted", "cert contains puppetdb1", "backend==A||backend==B"):
        assert 0 < len(matched(expression)) < count


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("ip.addr == 10.0.0.1", r"no field ip\.addr .* column 1$"),
        ("tls.handshake.type==1", r"no field tls\.handshake\.type .* column 1$"),
        ("outcome ==", "a value is missing behind outcome == at column 11"),
        ("(outcome == )", "a value is missing behind outcome == at column 13"),
        ("outcome:aborted and", "a term is missing at column 20"),
        ("and outcome:aborted", "a term is missing at column 1"),
        ("port:1 && || port:2", "a term is missing at column 11"),
        ("port:1 and )", "a term is missing at column 12"),
        ("not", "a term is missing behind not at column 4"),
        ("port:1 !", "a term is missing behind ! at column 9"),
        ("(! )", "a term is missing behind ! at column 4"),
        ('"outcome" == aborted', "a field is missing before == at column 11"),
        ("= 3", "a field is missing before = at column 1"),
        ("cert matches a.*", "no operator matches: cert~text contains it, cert:a[*] begins so at column 6"),
        ("client in (10.0.0.1)", "no operator in: .* at column 8"),
        ("- outcome:aborted", "a term is missing behind - at column 1"),
        ("port in {1, 2}", "no operator in: .* at column 6"),
        ("outcome != abc", "outcome has no value abc .* at column 12"),
        ("outcome > aborted", "outcome has no order.* at column 9"),
        ("rtt == 5 parsecs", None),
        ("port == 5 ms", "port wants a number such as 443, and 5ms is none at column 9"),
    ],
)
def test_what_means_nothing_is_an_error(expression: str, message: str | None) -> None:
    if message is None:  # the text beside it is looked for
        assert matched(expression) == []
        return
    with pytest.raises(FilterError, match=message):
        compile_filter(expression)


@pytest.mark.parametrize(
    "text",
    ["10.0.0.1:8081", "foo:", "CN=puppetdb1", "a=b", "orders", "android", "nothing", '"and"', '"!"', "in", "eq"]
    + ["port contain\N{LATIN SMALL LETTER LONG S} x", "port \N{LATIN SMALL LETTER DOTLESS I}n x"],
)
def test_a_text_is_a_text(text: str) -> None:
    compile_filter(text)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("outcome:ab", "outcome:aborted"),
        ("outcome==ab", "outcome==aborted"),
        ("-outcome=ab", "-outcome=aborted"),
        ("port:1 outcome!=ab", "outcome!=aborted"),
        ("!outcome:ab", "outcome:aborted"),
        ("port:1&&outcome:ab", "outcome:aborted"),
        ("port:1 or (outcome:ab", "outcome:aborted"),
    ],
)
def test_completion_goes_on_as_it_was_begun(typed: str, expected: str) -> None:
    assert [suggestion.text for suggestion in completions(typed, None)] == [expected]
