"""With which status a command ends, by what it was asked to fail on."""

from __future__ import annotations

import click
import pytest

from tests.conftest import find
from tests.test_cli import ABORTS, PROTECTED, run


def test_findings_give_1_and_none_0() -> None:
    assert b"The client aborted 10 of 40" in run("analyze", ABORTS, expect=1).stdout
    run("analyze", ABORTS, "--fail-on", "never")
    run("analyze", PROTECTED)
    run("analyze", PROTECTED, "--fail-on", "low")


@pytest.mark.parametrize(("level", "status"), [("high", 0), ("medium", 0), ("low", 1), ("info", 1), ("never", 0)])
def test_fail_on(level: str, status: int) -> None:
    run("analyze", str(find("tolerated")), "--fail-on", level, expect=status)


@pytest.mark.parametrize(
    ("what", "status"),
    [
        (["certificate-change-tolerated"], 1),
        (["rule:certificate-change-tolerated"], 1),
        (["certificate-change-abort"], 0),
        (["certificate-change-abort,low"], 1),
        (["certificate-change-abort", "low"], 1),
        (["medium, rule:handshake-failed"], 0),
        (["attribute:chain"], 0),
        (["never,attribute:chain"], 0),
        (["never,certificate-change-tolerated"], 1),
    ],
)
def test_fail_on_rules_and_attributes(what: list[str], status: int) -> None:
    run("analyze", str(find("tolerated")), *(o for each in what for o in ("--fail-on", each)), expect=status)


def test_an_attribute_is_that_of_a_finding() -> None:
    run("analyze", str(find("mixed-pool")), "--fail-on", "attribute:ems", expect=1)


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("chain", "for the attribute write attribute:chain; rules are certificate-change-abort"),
        ("nonsense", "'nonsense' is no severity (high, medium, low, info, never) and no rule; rules are"),
        ("rule:medium", "'rule:medium' is no rule; there are certificate-change-abort"),
        ("attribute:nonsense", "'attribute:nonsense' is no attribute; there are validity, chain"),
        ("medium,", "'' is no severity"),
    ],
)
def test_names_that_fail_on_does_not_know(what: str, said: str) -> None:
    for command in (("analyze", ABORTS), ("diff", ABORTS, ABORTS)):
        error = run(*command, "--fail-on", what, expect=2).stderr.decode()
        assert said in " ".join(error.split())


def test_the_shell_completes_what_fails() -> None:
    from inspector.cli.analyze import analyze_command

    (option,) = [p for p in analyze_command.params if p.name == "fail_on"]
    context = click.Context(analyze_command)
    for typed, offered in (
        ("med", ["medium"]),
        ("low,attribute:cha", ["low,attribute:chain"]),
        ("rule:stale", ["rule:stale-connection-used"]),
        ("x", []),
    ):
        assert [item.value for item in option.shell_complete(context, typed)] == offered
