"""``report`` and ``verify``: an incident report with its evidence, written and checked."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.captures import CaptureArguments, analysis_of, reading_options
from inspector.cli.exit_status import FINDINGS
from inspector.cli.options import gathered, zone_option
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.findings.judge import Analysis
    from inspector.secrets.store import Secrets
    from inspector.text.zones import TimeZone


class ReportOptions(NamedTuple):
    """Where a report is written, what it is about, and what is replaced in it. ``since``, ``until``: times as a person
    writes them, of ``zone`` where they do not say.
    """

    directory: str
    redact: bool
    redact_key: str | None
    include_secrets: bool
    force: bool
    incident: str
    since: str
    until: str
    zone: TimeZone


report_options = gathered(
    ReportOptions,
    [
        click.option(
            "-o",
            "--output",
            "directory",
            metavar="DIR",
            default="inspector-report",
            show_default=True,
            help="Where the bundle is written; must be new or empty.",
        ),
        click.option(
            "--redact",
            is_flag=True,
            help=(
                "Replace addresses, names, certificates and tickets, the same way each time; see"
                " docs/reference/report.md."
            ),
        ),
        click.option(
            "--redact-key",
            metavar="FILE",
            help=("The key to redact with; made if it is not there. By default ~/.config/inspector/redaction.key."),
        ),
        click.option(
            "--include-secrets",
            is_flag=True,
            help="Put the secrets of the connections in the evidence with it, so that others can decrypt it.",
        ),
        click.option("--force", is_flag=True, help="Write over an earlier report there."),
        click.option("--incident", metavar="ID", default="", help="About one incident; the start of its id does."),
        click.option(
            "--from",
            "since",
            metavar="TIME",
            default="",
            help="From this time on: 17:28:21 of the first day, or 2026-11-23T17:28:21Z.",
        ),
        click.option("--to", "until", metavar="TIME", default="", help="Up to this time."),
        zone_option("the times of the report, and read --from and --to,"),
    ],
)


@click.command("report", short_help="Write an incident report with its evidence: -o DIR.")
@reading_options
@report_options
def report_command(arguments: CaptureArguments, options: ReportOptions) -> None:
    """Write an incident bundle: the report as HTML and Markdown, the analysis, the packets that prove it. See
    docs/how-to/report.md.
    """
    if options.include_secrets and (options.redact or options.redact_key):
        raise UsageError("--include-secrets shows what --redact hides: give one of them")
    if options.force:
        from pathlib import Path

        from inspector.bundle.writing import earlier_files
        from inspector.cli.written_files import require_apart

        require_apart((("-o", str(path)) for path in earlier_files(Path(options.directory))), arguments.named())
    secrets = arguments.secrets()
    if options.include_secrets:
        from inspector.secrets.inputs import SecretInputs

        secrets = secrets or SecretInputs()
    analysis = analysis_of(arguments, secrets)
    included = secrets.secrets if options.include_secrets and secrets is not None else None
    _write(analysis, arguments.files, options, included)


def _write(analysis: Analysis, files: tuple[str, ...], options: ReportOptions, secrets: Secrets | None) -> None:
    """Write the bundle and say what was written. Raises UsageError."""
    from inspector.bundle.scope import ScopeRequest
    from inspector.bundle.writing import BundleRequest, write_bundle
    from inspector.text.safe import path_text, safe_text
    from inspector.text.zones import UTC

    key = None
    if options.redact or options.redact_key:
        from inspector.redaction.keys import load

        key, path, is_new = load(options.redact_key)
        if is_new:
            click.echo(
                f"inspector: a new redaction key lies in {path_text(str(path))}: keep it, and keep it to yourself",
                err=True,
            )
    request = BundleRequest(
        files,
        ScopeRequest(options.incident, options.since, options.until),
        ["inspector", *(path_text(word) for word in sys.argv[1:])],
        key,
        options.force,
        secrets,
        zone=UTC if key is not None else options.zone,  # strangers need not know where we are
    )
    bundle = write_bundle(analysis, options.directory, request)
    for note in bundle.notes:
        click.echo(f"inspector: {safe_text(note)}", err=True)
    what = f"{bundle.incidents} incident{'' if bundle.incidents == 1 else 's'}"
    click.echo(
        f"{path_text(str(bundle.directory))}: {what}, {bundle.frames:,} frames of evidence; {', '.join(bundle.files)}"
    )


@click.command("verify", short_help="Check such a report.")
@click.argument("directory", metavar="DIR", type=click.Path(exists=True, file_okay=False))
def verify_command(directory: str) -> None:
    """Check a bundle: all files have their hashes, and the packets alone still give its findings. Exit status 1 where
    something does not hold.
    """
    from inspector.bundle.verify import verify
    from inspector.text.safe import path_text, safe_text

    verdict = verify(directory)
    for problem in verdict.problems:
        click.echo(f"inspector: {safe_text(problem)}", err=True)
    click.echo(safe_text(f"{path_text(directory)} {verdict.sentence}", 500))
    if verdict.problems:
        raise SystemExit(FINDINGS)
