"""Commands, options and exit codes. The rest is imported inside functions, so that --help is instant."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn

import click

from inspector.cli import live as cli_live, report as cli_report
from inspector.cli.captures import SEVERITIES, CaptureArguments, analysis_of, is_at_least, story_options
from inspector.cli.live_options import settings_option
from inspector.errors import InspectorError, NotPermittedError, UsageError
from inspector.text.version import VERSION
from inspector.tui import AREAS

if TYPE_CHECKING:
    from inspector.findings.judge import Analysis
    from inspector.tracking.certificates import ParsedCertificate

FINDINGS, USAGE, INCOMPLETE, NOT_PERMITTED, INTERRUPTED, TERMINATED = 1, 2, 3, 4, 130, 143


class Commands(click.Group):
    """``inspector FILE…`` means ``inspector open FILE…``."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            if (
                not args[0].startswith("-")
                and not os.path.exists(args[0])
                and "." not in args[0]
                and "/" not in args[0]
            ):
                raise click.UsageError(f"no such command or file: {args[0]}", ctx)
            args = ["open", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, "-V", "--version", prog_name="inspector", message="%(prog)s %(version)s")
def cli() -> None:
    """Why TLS behind a load balancer misbehaves, told from packets.

    Reads captures (pcap, pcapng, gz, zst, directories, - for standard input) or live traffic, follows sessions and
    certificates across back ends, and explains by Java's own rule which client gave up because the server's certificate
    changed. FILE arguments together are one story.

    \b
    inspector FILE…              the terminal app (same as: inspector open FILE…)
    inspector live               the terminal app over live traffic
    inspector watch              live traffic without a screen: JSON lines
    inspector doctor             what live capture needs here
    inspector analyze FILE…      print the analysis: text, json, jsonl or csv
    inspector report FILE…       write an incident report with its evidence: -o DIR
    inspector verify DIR         check such a report
    inspector diff BEFORE AFTER  what was fixed, what remains, what is new
    inspector compare CERT…      judge certificates of a pool before they are deployed
    inspector demo               the bundled recording of a real Puppet Server

    \b
    Exit status: 0 fine; 1 findings (analyze, compare, diff), or a bundle that does not hold;
    2 usage, or no input can be read; 3 incomplete input with --strict; 4 no permission to
    capture; 130, 143 on signals.
    """


cli.add_command(cli_live.live_command)
cli.add_command(cli_live.watch_command)
cli.add_command(cli_live.doctor_command)
cli.add_command(cli_report.report_command)
cli.add_command(cli_report.verify_command)
cli.add_command(cli_report.diff_command)


@cli.command("analyze")
@story_options
@click.option(
    "-T",
    "--format",
    "form",
    type=click.Choice(["text", "json", "jsonl", "csv"]),
    default="text",
    show_default=True,
    help="What to print.",
)
@click.option(
    "-Y",
    "--filter",
    "expression",
    metavar="EXPRESSION",
    help="Show only connections that match, e.g. outcome:aborted backend:B. See docs/reference/filters.md.",
)
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, writable=True), help="Write to a file instead of standard output."
)
@click.option(
    "--fail-on",
    type=click.Choice(SEVERITIES),
    default="medium",
    show_default=True,
    help="Severity from which the exit status is 1: failed connections are medium.",
)
@click.option(
    "--strict",
    is_flag=True,
    help="Exit status 3 where the input is incomplete: files, frames, or bytes inside connections.",
)
def analyze_command(
    asked: CaptureArguments,
    form: str,
    expression: str | None,
    output: str | None,
    fail_on: str,
    strict: bool,
) -> None:
    """Print the analysis of captures: assessment, pool, matrix, incidents, limits."""
    import gc

    gc.disable()
    condition = None
    if expression:
        from inspector.query.language import compile_filter

        condition = compile_filter(expression)
    analysis = analysis_of(asked)
    wanted = None
    if condition is not None:
        from inspector.query.language import matching

        wanted = matching(condition, analysis)
    _write(analysis, form, wanted, output)
    _exit_by_findings(analysis, fail_on, strict)


def _write(analysis: Analysis, form: str, wanted: Any, output: str | None) -> None:
    from inspector.reports.output import write

    try:
        target = open(output, "wb") if output else sys.stdout.buffer  # noqa: SIM115 - standard output must stay open
    except OSError as error:
        raise UsageError(f"{output}: {error.strerror}") from None
    try:
        write(analysis, form, wanted, target)
    finally:
        if output:
            target.close()


def _exit_by_findings(analysis: Analysis, fail_on: str, strict: bool) -> None:
    from inspector.findings.limits import STRICT

    document = analysis.document
    if strict and any(limit.kind in STRICT for limit in document.limits):
        raise SystemExit(INCOMPLETE)
    if any(is_at_least(f.severity, fail_on) for f in document.findings):
        raise SystemExit(FINDINGS)


@cli.command("open")
@story_options
@click.option("--area", type=click.Choice(AREAS), help="The area to begin with.")
@click.option(
    "-Y",
    "--filter",
    "expression",
    metavar="EXPRESSION",
    default="",
    help="Begin with this filter on the connections. See docs/reference/filters.md.",
)
@click.option(
    "--sort",
    metavar="COLUMN",
    default="",
    help="Begin with the connections sorted by this column; -COLUMN for the largest first.",
)
@click.option("--follow", is_flag=True, help="Show a journal as it grows, written by a running watch or live.")
@click.option(
    "--ascii", "ascii_wanted", is_flag=True, help="Show ASCII only; the default where the locale is not UTF-8."
)
@settings_option
def open_command(
    asked: CaptureArguments,
    area: str | None,
    expression: str,
    sort: str,
    follow: bool,
    ascii_wanted: bool,
    settings: str | None,
) -> None:
    """Open captures, or a journal, in the terminal app."""
    if follow and len(asked.files) != 1:
        raise UsageError("--follow shows one journal")
    if expression:
        from inspector.query.language import compile_filter

        compile_filter(expression)
    view = (area or ("connections" if expression or sort else ""), expression, sort)
    _open(asked, ascii_wanted, view, settings, follow)


def _open(
    asked: CaptureArguments,
    ascii_wanted: bool,
    view: tuple[str, str, str],
    settings_path: str | None,
    follow: bool = False,
) -> None:
    if not sys.stdout.isatty():
        raise UsageError("standard output is no terminal", "inspector analyze prints the same analysis")
    from inspector.capture.files import Story
    from inspector.capture.inputs import is_journal

    files, options, given = asked.files, asked.options(), asked.given()
    if "-" not in files:
        captures = [path for path in files if not is_journal(path)]
        if captures:
            Story(captures)  # what cannot be read is said before the screen changes
    elif not _capture_from_input():
        raise UsageError(
            "standard input is the capture and there is no terminal to read keys from",
            "inspector analyze - prints the analysis",
        )
    from inspector import settings
    from inspector.tui.loading import Loading

    own = settings.load(settings_path)
    loading: Loading
    if follow:
        from inspector.tui.listening import Following

        loading = Following(files, options, own)
    else:
        loading = Loading(files, options, own, given)
    loading.start()  # reads while the app is imported
    from inspector.tui.app import InspectorApp
    from inspector.tui.app_state import View

    app = InspectorApp(
        paths=files,
        options=options,
        settings=own,
        view=View(*view),
        ascii_wanted=ascii_wanted,
        loading=loading,
        secret_inputs=given,
    )
    status = app.run()
    if app.problem:
        raise UsageError(app.problem)
    raise SystemExit(status or 0)


def _capture_from_input() -> bool:
    """Read the capture from standard input and the keys from the terminal; False where there is no terminal."""
    import io

    from inspector.capture import files

    capture = cli_live.keys_from_terminal()
    if capture is not None:
        files.standard_input = io.BufferedReader(io.FileIO(capture, "rb"), 1 << 20)
    return capture is not None


@cli.command("demo")
@click.option(
    "--ascii", "ascii_wanted", is_flag=True, help="Show ASCII only; the default where the locale is not UTF-8."
)
@settings_option
def demo_command(ascii_wanted: bool, settings: str | None) -> None:
    """Open the bundled recording of a real Puppet Server; print its text analysis where there is no terminal."""
    capture, *logs = demo_files()
    asked = CaptureArguments((str(capture),), logs=tuple(map(str, logs)))
    if sys.stdout.isatty() and sys.stdin.isatty():
        _open(asked, ascii_wanted, ("", "", ""), settings)
        return
    _write(analysis_of(asked), "text", None, None)


def demo_files() -> list[Path]:
    """The bundled capture, then the logs beside it: in the package, or in ``captures/`` of a clone."""
    names = [f"puppet-session-ids.{what}.gz" for what in ("pcap", "puppetserver.log", "haproxy.log")]
    inside = Path(__file__).parent.parent / "demo"
    folder = inside if (inside / names[0]).exists() else Path(__file__).parent.parent.parent / "captures"
    return [folder / name for name in names]


@cli.command("compare")
@click.argument("files", nargs=-1, required=True, metavar="CERT…")
@click.option(
    "--jdk-generation",
    type=click.Choice(["current", "first"]),
    default="current",
    show_default=True,
    help="The rule that decides the exit status; both are shown.",
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
    default="medium",
    show_default=True,
    help="Certificates that are not equivalent count as high.",
)
def compare_command(files: tuple[str, ...], jdk_generation: str, form: str, fail_on: str) -> None:
    """Judge certificates (PEM, DER, bundles, or those of a capture): who is equivalent to whom for Java, and the
    smallest fix.
    """
    from inspector.findings.comparison import compare
    from inspector.reports.compare import comparison_json, comparison_text

    certificates, sources = _certificates(files)
    comparison = compare(certificates, sources, "first" if jdk_generation == "first" else "current")
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

    found: dict[bytes, str] = {}
    problems: list[InspectorError] = []
    for path in files:
        try:
            with_frames = CAPTURE_MAGIC.match(_head(path)) is not None
            for der in _shown_leaves(path) if with_frames else read_certificate_file(path):
                found.setdefault(der, path)
        except InspectorError as error:
            problems.append(error)
    if not found and problems:
        raise problems[0]
    for problem in problems:
        click.echo(f"inspector: {problem}", err=True)
    certificates = [parse(der) for der in found]
    leaves = [i for i, c in enumerate(certificates) if not c.is_authority] or list(range(len(certificates)))
    return [certificates[i] for i in leaves], [list(found.values())[i] for i in leaves]


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
    leaves = dict.fromkeys(seen.leaf for seen in case.observed if seen.leaf is not None and not seen.health_check)
    if not leaves:
        raise UsageError(f"{path}: no server certificate in this capture")
    return [case.facts.certificates[leaf] for leaf in leaves]


def _leave(status: int) -> NoReturn:
    """End at once when all is written: taking a large analysis apart object by object would cost as long
    as making it.
    """
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (BrokenPipeError, ValueError):
        pass  # whoever read the output has left: a closed pipe ends quietly
    os._exit(status)


def main() -> NoReturn:
    """The command, with the contract's exit statuses."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    signal.signal(signal.SIGTERM, stop)
    _leave(_run())


def _run() -> int:
    try:
        cli.main(standalone_mode=False)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 0
    except click.ClickException as error:
        error.show()
        return USAGE
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except InspectorError as error:
        click.echo(f"inspector: {error}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        return NOT_PERMITTED if isinstance(error, NotPermittedError) else USAGE
    except BrokenPipeError:
        pass
    return 0
