"""``diff``: before and after a change."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from inspector.cli.captures import CaptureArguments, analysis_of
from inspector.cli.exit_status import FINDINGS
from inspector.cli.fail_on import FailOn, fail_on_option
from inspector.cli.options import (
    cluster_option,
    format_option,
    generation_option,
    key_log_option,
    log_option,
    vantage_option,
    vip_option,
)
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.document import Document
    from inspector.findings.jsse import Generation


@click.command("diff", short_help="What was fixed, what remains, what is new.")
@click.argument("before", metavar="BEFORE", type=click.Path(exists=True))
@click.argument("after", metavar="AFTER", type=click.Path(exists=True))
@vip_option("Look at this service only; repeatable.")
@generation_option()
@log_option("puppetserver.log or HAProxy's log, joined with both; repeatable.")
@key_log_option("NSS key log, for both; repeatable.")
@cluster_option
@vantage_option
@format_option("text", "json")
@fail_on_option("high", "What of that which remains or is new makes the exit status 1.")
def diff_command(
    before: str,
    after: str,
    vips: tuple[tuple[str, int], ...],
    generation: Generation,
    logs: tuple[str, ...],
    key_logs: tuple[str, ...],
    cluster: str,
    vantages: tuple[str, ...],
    form: str,
    fail_on: FailOn,
) -> None:
    """Compare two captures, journals, analyses (JSON) or bundles: what was fixed, what remains, what is new."""
    from inspector.document.rules import NOT_COMPARED
    from inspector.findings.before_after import before_after
    from inspector.reports.before_after import before_after_json, before_after_text

    if never := sorted(fail_on.rules & NOT_COMPARED):
        raise UsageError(f"--fail-on: {', '.join(never)} is not compared", "name another rule, or use analyze")
    arguments = CaptureArguments((), vips, generation, logs=logs, key_logs=key_logs, cluster=cluster)
    first, second = (
        _document(arguments._replace(files=(path,), vantages=of_side))
        for path, of_side in zip((before, after), _by_side(vantages, (before, after)), strict=True)
    )
    difference = before_after(first, second)
    if form == "json":
        sys.stdout.buffer.write(before_after_json(difference))
    else:
        click.echo(before_after_text(difference, first, second), nl=False)
    if any(fail_on.has(problem.severity, problem.rule, problem.attributes) for problem in difference.left()):
        raise SystemExit(FINDINGS)


def _by_side(vantages: Sequence[str], sides: Sequence[str]) -> list[tuple[str, ...]]:
    """Of what --vantage says, what captures of each side match. Raises UsageError where none of either does."""
    if not vantages:
        return [() for _ in sides]
    from inspector.capture.inputs import find, holds_facts
    from inspector.errors import UnreadableError
    from inspector.fleet.sequences import pattern, unmatched, vantage_of

    patterns = {pattern(text): text for text in vantages}
    matched = []
    for path in sides:
        try:
            files = [] if holds_facts(path) else find([path])
        except UnreadableError:
            files = []  # named where it is read
        matched.append({each for file in files if (each := vantage_of(file, patterns)) is not None})
    if missing := sorted({*patterns}.difference(*matched)):
        raise unmatched(missing[0])
    return [tuple(text for each, text in patterns.items() if each in of_side) for of_side in matched]


def _document(arguments: CaptureArguments) -> Document:
    """The analysis of a capture or journal, or one that was written as JSON. Raises UsageError and UnreadableError."""
    from inspector.bundle.manifest import NAME
    from inspector.capture.inputs import is_pipe
    from inspector.reports.json_stream import read_json
    from inspector.text.safe import path_text

    [path] = arguments.files
    if is_pipe(path):
        raise UsageError(f"{path}: a pipe, which can be read only once", "write it to a file first")
    if os.path.isfile(os.path.join(path, NAME)):
        path = os.path.join(path, "analysis.json")
    try:
        with open(path, "rb") as file:
            is_json = not os.path.isdir(path) and file.read(64).lstrip()[:1] == b"{"
    except IsADirectoryError:
        is_json = False
    except OSError as error:
        raise UsageError(f"{path_text(path)}: {error.strerror or error}") from None
    return read_json(path) if is_json else analysis_of(arguments).document
