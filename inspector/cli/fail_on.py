"""``--fail-on``: which findings make the exit status 1."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.options import Decorator

if TYPE_CHECKING:
    from inspector.document import Finding

SEVERITIES = ("high", "medium", "low", "info", "never")
RULE, ATTRIBUTE = "rule:", "attribute:"
EXPOSED = "exposed"
"""The state of a service, by which its rule is meant."""


class FailOn(NamedTuple):
    """Findings of a severity or above, of some rules, and of some attributes of the pool. ``severity``: ``never`` for
    none by its severity.
    """

    severity: str = "never"
    rules: frozenset[str] = frozenset()
    attributes: frozenset[str] = frozenset()

    def has(self, severity: str, rule: str, attributes: Collection[str]) -> bool:
        """Whether something of that severity, rule and those attributes is meant."""
        is_severe = self.severity != "never" and SEVERITIES.index(severity) <= SEVERITIES.index(self.severity)
        return is_severe or rule in self.rules or not self.attributes.isdisjoint(attributes)

    def any_of(self, findings: Iterable[Finding]) -> bool:
        """Whether any of them is meant."""
        return any(
            self.has(finding.severity, finding.rule, [finding.about.attribute] if finding.about is not None else ())
            for finding in findings
        )


def _clause(part: str) -> str:
    """By its full name: ``medium``, ``rule:NAME``, ``attribute:NAME``. Raises BadParameter."""
    if part in SEVERITIES:
        return part
    if part == EXPOSED:
        return f"{RULE}certificate-change-{EXPOSED}"
    rules, attributes = _rules(), _attributes()
    rule, attribute = part.removeprefix(RULE), part.removeprefix(ATTRIBUTE)
    if rule in rules:
        return RULE + rule
    if attribute in attributes and part != attribute:
        return part
    if part != rule:
        raise click.BadParameter(f"{part!r} is no rule; there are {', '.join(rules)}")
    if part != attribute:
        raise click.BadParameter(f"{part!r} is no attribute; there are {', '.join(attributes)}")
    hint = f"for the attribute write {ATTRIBUTE}{part}; " if part in attributes else ""
    raise click.BadParameter(
        f"{part!r} is no severity ({', '.join(SEVERITIES)}) and no rule; {hint}rules are {', '.join(rules)}; attributes"
        f" are {', '.join(ATTRIBUTE + each for each in attributes)}"
    )


def _completed(context: click.Context, option: click.Parameter, incomplete: str) -> list[str]:
    """For the shell: severities, rules and attributes that begin as what stands behind the last comma."""
    before, comma, last = incomplete.rpartition(",")
    rules = _rules()
    names = [*SEVERITIES, *rules, *(RULE + rule for rule in rules), *(ATTRIBUTE + each for each in _attributes())]
    return [before + comma + name for name in names if name.startswith(last)]


def _rules() -> list[str]:
    from inspector.document.rules import Rule

    return [rule.value for rule in Rule]


def _attributes() -> list[str]:
    from inspector.pool.attributes import PoolAttribute

    return [attribute.value for attribute in PoolAttribute]


def _gathered(context: click.Context, option: click.Parameter, values: Sequence[str]) -> FailOn:
    """All that was said, with commas between or repeated, as one; the lowest severity counts."""
    clauses = [_clause(part.strip()) for value in values for part in value.split(",")]
    severities = [clause for clause in clauses if clause in SEVERITIES and clause != "never"]
    return FailOn(
        max(severities, key=SEVERITIES.index, default="never"),
        frozenset(clause.removeprefix(RULE) for clause in clauses if clause.startswith(RULE)),
        frozenset(clause.removeprefix(ATTRIBUTE) for clause in clauses if clause.startswith(ATTRIBUTE)),
    )


def fail_on_option(default: str, text: str) -> Decorator:
    """``--fail-on``, as a ``FailOn``."""
    return click.option(
        "--fail-on",
        metavar="WHAT",
        multiple=True,
        default=(default,),
        show_default=True,
        callback=_gathered,
        shell_complete=_completed,
        help=f"{text} A severity and those above it (high, medium, low, info; never), a rule by name, or"
        " attribute:NAME; with commas between or repeated. See docs/reference/exit-status.md.",
    )
