"""The report as HTML and as Markdown. All that is not written by us is escaped by the template library, for either
format by its own rules.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from jinja2 import DictLoader, Environment, StrictUndefined
from markupsafe import Markup

from inspector.bundle.content import Content
from inspector.bundle.manifest import Manifest
from inspector.bundle.statements import Location
from inspector.document import LogFile
from inspector.reports.overview import nanoseconds
from inspector.text.safe import safe_text
from inspector.text.times import span
from inspector.text.zones import TimeZone

TEMPLATES = {
    path.name: path.read_text(encoding="utf-8")
    for path in (Path(__file__).parent / "templates").iterdir()
    if path.suffix in (".j2", ".css")
}
"""Read at once: a live capture gives up its rights, and may not read them later."""

LONGEST = 4000
"""Characters of one value."""

SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&!$^@])")
LINKED = re.compile(r"(:)(?=//)|(?<=\bwww)(\.)", re.IGNORECASE)
AT_START = re.compile(r"^(\s*)([-+=]|\d+[.)])(?=\s|$)")


class _Verbatim(str):
    """Markdown that is escaped already."""


def html(content: Content, manifest: Manifest, directory: str, zone: TimeZone) -> str:
    """One file: no script, no link to anything outside, nothing loaded."""
    environment = _environment(
        lambda value: safe_text(value, LONGEST) if type(value) is str else value, autoescape=True
    )
    return environment.get_template("report.html.j2").render(
        c=content, manifest=manifest, directory=directory, clock=_clock, **_times(zone)
    )


def markdown(content: Content, manifest: Manifest, directory: str, zone: TimeZone) -> str:
    """CommonMark with tables, for tickets and chat."""
    environment = _environment(lambda value: _escaped(value) if isinstance(value, str) else value, autoescape=False)
    environment.filters |= {"code": code, "fenced": fenced}
    text = environment.get_template("report.md.j2").render(
        c=content,
        manifest=manifest,
        directory=directory,
        clock=_clock,
        where=_where,
        where_cell=_where_cell,
        **_times(zone),
    )
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _environment(finalize: Callable[[object], object], *, autoescape: bool) -> Environment:
    environment = Environment(
        loader=DictLoader(TEMPLATES),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=finalize,
        keep_trailing_newline=True,
    )
    environment.filters["join"] = _joined if autoescape else _listed
    return environment


def _joined(values: Sequence[str], separator: str) -> Markup:
    """For HTML: each is made safe by itself, so that separators may be line ends."""
    return Markup(separator).join([safe_text(value, LONGEST) for value in values])


def _listed(values: Sequence[str], separator: str) -> str:
    return _Verbatim(separator.join(_escaped(value) for value in values))


def _escaped(text: str) -> str:
    """Text that means nothing in Markdown, not even where it looks like a link, a list or HTML."""
    if isinstance(text, _Verbatim | Markup):
        return text
    safe = SPECIAL.sub(r"\\\1", safe_text(text, LONGEST))
    safe = LINKED.sub(lambda m: f"\\{m[0]}", safe)
    return AT_START.sub(
        lambda m: f"{m[1]}\\{m[2]}" if not m[2][0].isdigit() else f"{m[1]}{m[2][:-1]}\\{m[2][-1]}", safe
    )


def code(text: str) -> str:
    """A code span: its fence is longer than any run of backticks in it."""
    safe = safe_text(text, LONGEST)
    fence = "`" * (max((len(run) for run in re.findall(r"`+", safe)), default=0) + 1)
    return _Verbatim(f"{fence} {safe} {fence}" if "`" in safe else f"{fence}{safe}{fence}")


def fenced(lines: Sequence[str]) -> str:
    """A block of text as it is."""
    safe = [safe_text(line, LONGEST) for line in lines]
    fence = "`" * max(3, max((len(run) for line in safe for run in re.findall(r"`+", line)), default=0) + 1)
    return _Verbatim("\n".join([fence + "text", *safe, fence]))


def _where(where: Location | None) -> str:
    """Where a statement stands, for Markdown."""
    if where is None:
        return ""
    evidence = f", evidence {where.evidence}" if where.evidence else ""
    return _Verbatim(f"{_escaped(where.original)}{evidence}, {code(where.filter)}")


def _where_cell(where: Location | None) -> str:
    """The same in a table, which would take a pipe for the next cell."""
    return _Verbatim(_where(where).replace("|", "\\|"))


def _times(zone: TimeZone) -> dict[str, object]:
    """What templates write times of the document with."""
    return {
        "moment": lambda stamp: zone.moment(nanoseconds(stamp), 0) if stamp else "",
        "rfc3339": lambda stamp: zone.rfc3339(nanoseconds(stamp)) if stamp else "?",
    }


def _clock(log: LogFile) -> str:
    assert log.offset is not None
    sign = "ahead" if log.offset >= 0 else "behind"
    return f"{span(abs(log.offset))} {sign} (±{span(log.uncertainty or 0)})"
