"""The commands about reports: ``report``, ``verify`` and ``diff``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from inspector.cli.captures import SEVERITIES, CaptureArguments, analysis_of, is_at_least, story_options
from inspector.errors import UsageError
from inspector.text.hostport import parsed

if TYPE_CHECKING:
    from inspector.document import Document
    from inspector.findings.jsse import Generation
    from inspector.findings.judge import Analysis
    from inspector.secrets.store import Secrets

FAILED = 1


@click.command("report")
@story_options
@click.option(
    "-o",
    "--output",
    "directory",
    metavar="DIR",
    default="inspector-report",
    show_default=True,
    help="Where the bundle is written; must be new or empty.",
)
@click.option(
    "--redact",
    is_flag=True,
    help="Replace addresses, names, certificates and tickets, the same way each time; see docs/reference/report.md.",
)
@click.option(
    "--redact-key",
    metavar="FILE",
    help="The key to redact with; made if it is not there. By default ~/.config/inspector/redaction.key.",
)
@click.option(
    "--include-secrets",
    is_flag=True,
    help="Put the secrets of the connections in the evidence with it, so that others can decrypt it.",
)
@click.option("--force", is_flag=True, help="Write over an earlier report there.")
@click.option("--incident", metavar="ID", default="", help="About one incident; the start of its id does.")
@click.option(
    "--from", "since", metavar="TIME", default="", help="From this time on: 17:28:21, or 2026-11-23T17:28:21Z."
)
@click.option("--to", "until", metavar="TIME", default="", help="Up to this time.")
def report_command(asked: CaptureArguments, directory: str, include_secrets: bool, **wish: Any) -> None:
    """Write an incident bundle: the report as HTML and Markdown, the analysis, the packets that prove it. See
    docs/how-to/report.md.
    """
    if include_secrets and (wish["redact"] or wish["redact_key"]):
        raise UsageError("--include-secrets shows what --redact hides: give one of them")
    given = asked.given()
    if include_secrets:
        from inspector.secrets.inputs import SecretInputs

        given = given or SecretInputs()
    analysis = analysis_of(asked, given)
    _write(analysis, asked.files, directory, given.secrets if include_secrets and given is not None else None, **wish)


@click.command("verify")
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
        raise SystemExit(FAILED)


def _write(
    analysis: Analysis,
    files: tuple[str, ...],
    directory: str,
    secrets: Secrets | None,
    incident: str,
    since: str,
    until: str,
    redact: bool,
    redact_key: str | None,
    force: bool,
) -> None:
    """Write the bundle and say what was written. Raises UsageError."""
    from inspector.bundle.scope import ScopeRequest
    from inspector.bundle.writing import BundleRequest, write_bundle
    from inspector.text.safe import path_text, safe_text

    key = None
    if redact or redact_key:
        from inspector.redaction.keys import load

        key, place, is_new = load(redact_key)
        if is_new:
            click.echo(
                f"inspector: a new redaction key lies in {path_text(str(place))}: keep it, and keep it to yourself",
                err=True,
            )
    order = BundleRequest(
        files,
        ScopeRequest(incident, since, until),
        ["inspector", *(path_text(word) for word in sys.argv[1:])],
        key,
        force,
        secrets,
    )
    bundle = write_bundle(analysis, directory, order)
    for note in bundle.notes:
        click.echo(f"inspector: {safe_text(note)}", err=True)
    what = f"{bundle.incidents} incident{'' if bundle.incidents == 1 else 's'}"
    click.echo(
        f"{path_text(str(bundle.directory))}: {what}, {bundle.frames:,} frames of evidence; {', '.join(bundle.files)}"
    )


@click.command("diff")
@click.argument("before", metavar="BEFORE", type=click.Path(exists=True))
@click.argument("after", metavar="AFTER", type=click.Path(exists=True))
@click.option("--vip", "vips", multiple=True, metavar="HOST:PORT", help="Look at this service only; repeatable.")
@click.option(
    "--jdk-generation",
    type=click.Choice(["current", "first"]),
    default="current",
    show_default=True,
    help="Which identity rule: first is before 8u60 and 7u85.",
)
@click.option(
    "--log",
    "logs",
    multiple=True,
    metavar="FILE",
    type=click.Path(),
    help="puppetserver.log or HAProxy's log, joined with both; repeatable.",
)
@click.option(
    "--keylog",
    "key_logs",
    multiple=True,
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False),
    help="NSS key log, for both; repeatable.",
)
@click.option(
    "-T",
    "--format",
    "form",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="What to print.",
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="high",
    show_default=True,
    help="Severity from which what remains or is new makes the exit status 1.",
)
def diff_command(
    before: str,
    after: str,
    vips: tuple[str, ...],
    jdk_generation: str,
    logs: tuple[str, ...],
    key_logs: tuple[str, ...],
    form: str,
    fail_on: str,
) -> None:
    """Compare two captures, journals, analyses (JSON) or bundles: what was fixed, what remains, what is new."""
    from inspector.findings.before_after import before_after
    from inspector.reports.before_after import before_after_json, before_after_text

    generation: Generation = "first" if jdk_generation == "first" else "current"
    first, second = (
        _document(CaptureArguments((path,), tuple(parsed(v) for v in vips), generation, logs, key_logs))
        for path in (before, after)
    )
    found = before_after(first, second)
    if form == "json":
        sys.stdout.buffer.write(before_after_json(found))
    else:
        click.echo(before_after_text(found, first, second), nl=False)
    worst = found.worst()
    if worst is not None and is_at_least(worst, fail_on):
        raise SystemExit(FAILED)


def _document(asked: CaptureArguments) -> Document:
    """The analysis of a capture or journal, or one that was written as JSON. Raises UsageError and UnreadableError."""
    import os

    from inspector.bundle.manifest import NAME
    from inspector.capture.inputs import is_pipe
    from inspector.reports.json_stream import read_json
    from inspector.text.safe import path_text

    [path] = asked.files
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
    return read_json(path) if is_json else analysis_of(asked).document
