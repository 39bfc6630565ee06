"""``compare``: certificates judged before they are deployed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.exit_status import FINDINGS
from inspector.cli.fail_on import SEVERITIES
from inspector.cli.options import INPUT, format_option, generation_option, zone_option
from inspector.errors import InspectorError, UsageError

if TYPE_CHECKING:
    from inspector.findings.jsse import Generation
    from inspector.findings.served import ServedCertificate, StoredCertificate
    from inspector.text.zones import TimeZone
    from inspector.tracking.certificates import ParsedCertificate


@click.command("compare", short_help="Judge certificates of a pool before they are deployed.")
@click.argument("files", nargs=-1, required=True, metavar="CERT…", type=INPUT)
@generation_option("The rule that decides the exit status; both are shown.")
@format_option("text", "json")
@zone_option("the times of -T text")
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="medium",
    show_default=True,
    help="Certificates that are not equivalent, not those that are served, or cannot be read, count as high.",
)
def compare_command(files: tuple[str, ...], generation: Generation, form: str, zone: TimeZone, fail_on: str) -> None:
    """Judge certificates (PEM, DER, bundles, or those of a capture): who is equivalent to whom for Java, and the
    smallest fix. Of a capture and files together, also which files are not what is served, and since when.
    """
    from inspector.findings.comparison import compare
    from inspector.findings.served import held_against
    from inspector.reports.compare import comparison_json, comparison_text

    read = _read(files)
    comparison = compare(*read.compared(), generation)
    against = held_against(read.stored, read.served) if read.stored and read.served else None
    if form == "json":
        sys.stdout.buffer.write(comparison_json(comparison, against))
    else:
        sys.stdout.write(comparison_text(comparison, against, zone))
    is_outdated = against is not None and against.is_outdated
    is_equivalent = comparison.equivalent(comparison.generation) is True
    if fail_on != "never" and (is_outdated or not is_equivalent or read.unreadable):
        raise SystemExit(FINDINGS)


class ComparedFiles(NamedTuple):
    """What files and captures hold, in their order: where each certificate came from, by its bytes. ``leaves``: those
    of servers. ``unreadable``: what is wrong with files of which nothing could be read.
    """

    leaves: dict[bytes, str]
    authorities: dict[bytes, str]
    stored: list[StoredCertificate]
    served: list[ServedCertificate]
    unreadable: list[InspectorError]

    def compared(self) -> tuple[list[ParsedCertificate], list[str]]:
        """The certificates of servers, each once, and where each came from; where there is none of them, all."""
        from inspector.tracking.certificates import parse

        chosen = self.leaves or self.authorities
        return [parse(der) for der in chosen], [*chosen.values()]


def _read(files: tuple[str, ...]) -> ComparedFiles:
    """Says which files are left out. Raises UnreadableError where none can be read."""
    from inspector.findings.served import StoredCertificate
    from inspector.tracking.certificate_files import CAPTURE_MAGIC, read_certificate_file
    from inspector.tracking.certificates import parse

    read = ComparedFiles({}, {}, [], [], [])
    without_server = []
    for path in files:
        try:
            if CAPTURE_MAGIC.match(_head(path)) is not None:
                _read_capture(path, read)
                continue
            certificates = {der: parse(der) for der in read_certificate_file(path)}
        except InspectorError as error:
            read.unreadable.append(error)
            continue
        for der, certificate in certificates.items():
            (read.leaves if certificate.is_server else read.authorities).setdefault(der, path)
        servers = [StoredCertificate(one, path) for one in certificates.values() if one.is_server]
        read.stored.extend(servers)
        if not servers:
            without_server.append(f"{path}: of an authority alone, and not compared")
    if not read.leaves and not read.authorities:
        raise read.unreadable[0]
    for problem in (*read.unreadable, *(without_server if read.leaves else ())):
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
        read.leaves.setdefault(case.facts.certificates[one.certificate.sha256], path)


def _head(path: str) -> bytes:
    """How a file begins; nothing of a pipe, of which it would be gone."""
    from inspector.capture.inputs import is_pipe

    if is_pipe(path):
        return b""
    try:
        with open(path, "rb") as file:
            return file.read(4)
    except OSError:
        return b""
