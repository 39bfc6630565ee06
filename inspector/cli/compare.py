"""``compare``: certificates judged before they are deployed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from inspector.cli.exit_status import FINDINGS
from inspector.cli.fail_on import SEVERITIES
from inspector.cli.options import format_option, generation_option
from inspector.errors import InspectorError, UsageError

if TYPE_CHECKING:
    from inspector.findings.jsse import Generation
    from inspector.tracking.certificates import ParsedCertificate


@click.command("compare", short_help="Judge certificates of a pool before they are deployed.")
@click.argument("files", nargs=-1, required=True, metavar="CERT…")
@generation_option("The rule that decides the exit status; both are shown.")
@format_option("text", "json")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="medium",
    show_default=True,
    help="Certificates that are not equivalent count as high.",
)
def compare_command(files: tuple[str, ...], generation: Generation, form: str, fail_on: str) -> None:
    """Judge certificates (PEM, DER, bundles, or those of a capture): who is equivalent to whom for Java, and the
    smallest fix.
    """
    from inspector.findings.comparison import compare
    from inspector.reports.compare import comparison_json, comparison_text

    certificates, sources = _certificates(files)
    comparison = compare(certificates, sources, generation)
    if form == "json":
        sys.stdout.buffer.write(comparison_json(comparison))
    else:
        sys.stdout.write(comparison_text(comparison))
    if comparison.equivalent(comparison.generation) is not True and fail_on != "never":
        raise SystemExit(FINDINGS)


def _certificates(files: tuple[str, ...]) -> tuple[list[ParsedCertificate], list[str]]:
    """The leaf certificates of files and captures, each once, and where each came from. Raises UnreadableError where
    none can be read.
    """
    from inspector.tracking.certificate_files import CAPTURE_MAGIC, read_certificate_file
    from inspector.tracking.certificates import parse

    sources: dict[bytes, str] = {}
    problems: list[InspectorError] = []
    for path in files:
        try:
            with_frames = CAPTURE_MAGIC.match(_head(path)) is not None
            for der in _shown_leaves(path) if with_frames else read_certificate_file(path):
                sources.setdefault(der, path)
        except InspectorError as error:
            problems.append(error)
    if not sources and problems:
        raise problems[0]
    for problem in problems:
        click.echo(f"inspector: {problem}", err=True)
    certificates = [parse(der) for der in sources]
    leaves = [i for i, c in enumerate(certificates) if not c.is_authority] or list(range(len(certificates)))
    return [certificates[i] for i in leaves], [list(sources.values())[i] for i in leaves]


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4)
    except OSError:
        return b""


def _shown_leaves(path: str) -> list[bytes]:
    """The certificates that the servers of a capture showed."""
    from inspector.extract.processes import extract
    from inspector.findings.case import Options, build

    case = build(extract([path]), Options())
    leaves = dict.fromkeys(o.leaf for o in case.observed if o.leaf is not None and not o.health_check)
    if not leaves:
        raise UsageError(f"{path}: no server certificate in this capture")
    return [case.facts.certificates[leaf] for leaf in leaves]
