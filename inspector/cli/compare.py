"""``compare``: certificates judged before they are deployed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.exit_status import FINDINGS
from inspector.cli.fail_on import SEVERITIES
from inspector.cli.options import format_option, generation_option, zone_option
from inspector.errors import InspectorError, UsageError

if TYPE_CHECKING:
    from inspector.findings.jsse import Generation
    from inspector.findings.served import ServedCertificate, StoredCertificate
    from inspector.text.zones import TimeZone
    from inspector.tracking.certificates import ParsedCertificate


@click.command("compare", short_help="Judge certificates of a pool before they are deployed.")
@click.argument("files", nargs=-1, required=True, metavar="CERT…")
@generation_option("The rule that decides the exit status; both are shown.")
@format_option("text", "json")
@zone_option("the times of -T text")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="medium",
    show_default=True,
    help="Certificates that are not equivalent, or not those that are served, count as high.",
)
def compare_command(files: tuple[str, ...], generation: Generation, form: str, zone: TimeZone, fail_on: str) -> None:
    """Judge certificates (PEM, DER, bundles, or those of a capture): who is equivalent to whom for Java, and the
    smallest fix. Of a capture and files together, also which files are not what is served, and since when.
    """
    from inspector.findings.comparison import compare
    from inspector.findings.served import held_against
    from inspector.reports.compare import comparison_json, comparison_text

    read = _read(files)
    comparison = compare(*read.leaves(), generation)
    against = held_against(read.stored, read.served) if read.stored and read.served else None
    if form == "json":
        sys.stdout.buffer.write(comparison_json(comparison, against))
    else:
        sys.stdout.write(comparison_text(comparison, against, zone))
    is_outdated = against is not None and against.is_outdated
    if fail_on != "never" and (is_outdated or comparison.equivalent(comparison.generation) is not True):
        raise SystemExit(FINDINGS)


class ComparedFiles(NamedTuple):
    """What files and captures hold, in their order. ``sources``: where each certificate came from, by its bytes."""

    sources: dict[bytes, str]
    stored: list[StoredCertificate]
    served: list[ServedCertificate]

    def leaves(self) -> tuple[list[ParsedCertificate], list[str]]:
        """The leaf certificates, each once, and where each came from; where there is none of them, all."""
        from inspector.tracking.certificates import parse

        certificates = [parse(der) for der in self.sources]
        leaves = [i for i, c in enumerate(certificates) if not c.is_authority] or list(range(len(certificates)))
        return [certificates[i] for i in leaves], [list(self.sources.values())[i] for i in leaves]


def _read(files: tuple[str, ...]) -> ComparedFiles:
    """Raises UnreadableError where none can be read."""
    from inspector.findings.served import StoredCertificate
    from inspector.tracking.certificate_files import CAPTURE_MAGIC, read_certificate_file
    from inspector.tracking.certificates import parse

    read = ComparedFiles({}, [], [])
    problems: list[InspectorError] = []
    for path in files:
        try:
            if CAPTURE_MAGIC.match(_head(path)) is not None:
                _read_capture(path, read)
                continue
            for der in read_certificate_file(path):
                read.sources.setdefault(der, path)
                certificate = parse(der)
                if not certificate.is_authority:
                    read.stored.append(StoredCertificate(certificate, path))
        except InspectorError as error:
            problems.append(error)
    if not read.sources and problems:
        raise problems[0]
    for problem in problems:
        click.echo(f"inspector: {problem}", err=True)
    return read


def _read_capture(path: str, read: ComparedFiles) -> None:
    """What servers showed in it. Raises InspectorError."""
    from inspector.extract.processes import extract
    from inspector.findings.building import build
    from inspector.findings.case import Options
    from inspector.findings.served import served_in

    case = build(extract([path]), Options())
    shown = served_in(case)
    if not shown:
        raise UsageError(f"{path}: no server certificate in this capture")
    read.served.extend(shown)
    for one in shown:
        read.sources.setdefault(case.facts.certificates[one.certificate.sha256], path)


def _head(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(4)
    except OSError:
        return b""
