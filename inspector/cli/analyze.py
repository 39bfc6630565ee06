"""``analyze``: the analysis of captures, printed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING

import click

from inspector.cli.captures import CaptureArguments, analysis_of, reading_options
from inspector.cli.completion import filters
from inspector.cli.exit_status import FINDINGS, INCOMPLETE
from inspector.cli.fail_on import FailOn, fail_on_option
from inspector.cli.options import format_option, zone_option
from inspector.cli.streams import is_folder, output_file
from inspector.cli.written_files import require_apart
from inspector.reports.formats import FORMATS, write
from inspector.text.zones import UTC, TimeZone

if TYPE_CHECKING:
    from inspector.findings.judge import Analysis
    from inspector.tracking.observed import Observed


@click.command("analyze", short_help="Print the analysis: text, JSON, CSV, ECS, Zeek's logs.")
@reading_options
@format_option(*FORMATS)
@zone_option("the times of -T text")
@click.option(
    "-Y",
    "--filter",
    "expression",
    metavar="EXPRESSION",
    shell_complete=filters,
    help="Show only connections that match, e.g. outcome:aborted backend:B. See docs/reference/filters.md.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(writable=True),
    help="Write to a file instead of standard output; -T zeek into a folder too, a log for each kind.",
)
@fail_on_option("medium", "Which findings make the exit status 1; failed connections are medium.")
@click.option(
    "--strict",
    is_flag=True,
    help="Exit status 3 where the input is incomplete: files, frames, or bytes inside connections.",
)
def analyze_command(
    arguments: CaptureArguments,
    form: str,
    expression: str | None,
    output: str | None,
    fail_on: FailOn,
    strict: bool,
    *,
    zone: TimeZone,
) -> None:
    """Print the analysis of captures: assessment, pool, matrix, incidents, limits."""
    import gc

    gc.disable()
    condition = None
    if expression:
        from inspector.query.language import compile_filter

        condition = compile_filter(expression)
    if output is not None:
        require_apart((("-o", path) for path in _written(form, output)), arguments.named())
    analysis = analysis_of(arguments)
    is_wanted = None
    if condition is not None:
        from inspector.query.language import matching

        is_wanted = matching(condition, analysis)
    print_analysis(analysis, form, is_wanted, output, zone)
    _exit_by_findings(analysis, fail_on, strict)


def print_analysis(
    analysis: Analysis,
    form: str = "text",
    is_wanted: Callable[[Observed], bool] | None = None,
    output: str | None = None,
    zone: TimeZone = UTC,
) -> None:
    """To a file, a folder, or standard output. ``is_wanted``: which connections are shown. ``zone``: of times in
    text. Raises OutputError."""
    if output is None:
        write(analysis, form, is_wanted, sys.stdout.buffer, zone)
        return
    files = FORMATS[form].files
    if files is not None and is_folder(output):
        files.write(analysis, is_wanted, lambda name: output_file(os.path.join(output, name)))
        return
    with output_file(output) as target:
        write(analysis, form, is_wanted, target, zone)


def _written(form: str, output: str) -> list[str]:
    """The files that ``-o`` means. Raises OutputError."""
    files = FORMATS[form].files
    if files is None or not is_folder(output):
        return [output]
    return [os.path.join(output, name) for name in files.names()]


def _exit_by_findings(analysis: Analysis, fail_on: FailOn, strict: bool) -> None:
    from inspector.findings.limits import STRICT

    document = analysis.document
    if strict and any(limit.kind in STRICT for limit in document.limits):
        raise SystemExit(INCOMPLETE)
    if fail_on.any_of(document.findings):
        raise SystemExit(FINDINGS)
