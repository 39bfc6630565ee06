"""What the commands about captures share: their options, and the way from files to an analysis."""

from __future__ import annotations

import os
import sys
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.options import (
    INPUT,
    Command,
    cluster_option,
    gathered,
    generation_option,
    key_log_option,
    log_option,
    numeric_option,
    vantage_option,
    vip_option,
)
from inspector.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from inspector.cli.progress import Progress
    from inspector.facts import Facts
    from inspector.findings.case import Options
    from inspector.findings.jsse import Generation
    from inspector.findings.judge import Analysis
    from inspector.secrets.inputs import SecretInputs

    Extraction = Callable[["CaptureArguments", Progress, Callable[[int], None], SecretInputs | None], Facts]


class CaptureArguments(NamedTuple):
    """Which captures, and how to look at them. ``most_packets``: reading ends behind so many.
    Nothing is loaded for it, so that the processes that read can start first.
    """

    files: tuple[str, ...]
    vips: tuple[tuple[str, int], ...] = ()
    generation: Generation = "current"
    logs: tuple[str, ...] = ()
    key_logs: tuple[str, ...] = ()
    server_keys: tuple[str, ...] = ()
    cluster: str = ""
    vantages: tuple[str, ...] = ()
    most_packets: int | None = None

    def options(self) -> Options:
        """As findings are made by."""
        from inspector.findings.case import Options

        return Options(self.generation, self.vips, logs=self.logs)

    def named(self) -> Iterator[tuple[str, str]]:
        """All files that are read, and by what option each. Those that cannot be are named by whoever reads them."""
        from inspector.capture.inputs import files_of
        from inspector.cli.written_files import STANDARD_INPUT

        for argument in self.files:
            if argument == "-":
                yield "standard input", STANDARD_INPUT
            else:
                yield from (("a capture", path) for path in files_of(argument))
        for option, paths in (
            ("--log", self.logs),
            ("--keylog", self.key_logs),
            ("--server-key", self.server_keys),
        ):
            yield from ((option, path) for path in paths)

    def secrets(self) -> SecretInputs | None:
        """Key logs and servers' keys, read; None where there are none. Raises UsageError."""
        if not self.key_logs and not self.server_keys:
            return None
        from inspector.secrets.inputs import read_inputs

        return read_inputs(self.key_logs, self.server_keys, passphrase)


class Kept(list[object]):
    """What is left as it is until the process ends; the object of the outermost context. Taking a large analysis apart
    object by object takes a tenth of the time that making it took.
    """


def passphrase(prompt: str) -> str:
    """Ask on the terminal. Raises UsageError where there is none."""
    import getpass

    try:
        if not sys.stdin.isatty():
            os.close(os.open("/dev/tty", os.O_RDWR))
        return getpass.getpass(prompt + ": ", sys.stderr)
    except (EOFError, OSError):
        raise UsageError(f"{prompt}: there is no terminal to ask on") from None


READ_FILES = "inspector.read_files"
"""Under which name a command's context keeps the files of ``-r`` until its arguments are known."""


def _read_files(context: click.Context, option: click.Parameter, files: tuple[str, ...]) -> None:
    context.meta[READ_FILES] = files


def _all_files(context: click.Context, argument: click.Parameter, files: tuple[str, ...]) -> tuple[str, ...]:
    """Those of ``-r`` and the arguments. Raises UsageError."""
    files = (*context.meta.get(READ_FILES, ()), *files)
    if not files and not context.resilient_parsing:
        raise click.MissingParameter(ctx=context, param=argument)
    return _pipe_as_input(files)


def _pipe_as_input(files: tuple[str, ...]) -> tuple[str, ...]:
    """A pipe that has a name, as a shell's ``<(command)`` has, becomes standard input: what was read of it cannot be
    read again. Raises UsageError.
    """
    from inspector.capture.inputs import is_pipe

    pipes = [path for path in files if is_pipe(path)]
    if not pipes:
        return files
    if len(pipes) > 1 or "-" in files:
        raise UsageError("only one pipe can be read", "write the others to files first")
    try:
        pipe = os.open(pipes[0], os.O_RDONLY)
        os.dup2(pipe, 0)
        os.close(pipe)
    except OSError as error:
        raise UsageError(f"{pipes[0]}: {error.strerror}") from None
    return tuple("-" if path == pipes[0] else path for path in files)


story_options = gathered(
    CaptureArguments,
    [
        click.option(
            "-r",
            "--read-file",
            multiple=True,
            is_eager=True,
            expose_value=False,
            callback=_read_files,
            metavar="FILE",
            type=INPUT,
            help="Another way to name a FILE, as tcpdump, tshark and zeek have it; repeatable.",
        ),
        numeric_option,
        click.argument("files", nargs=-1, callback=_all_files, metavar="FILE…", type=INPUT),
        vip_option(
            "Look at this service only; repeatable. [v6]:port. Names are compared with server names, never looked up."
        ),
        generation_option(),
        key_log_option("NSS key log: opens encrypted handshakes; repeatable."),
        click.option(
            "--server-key",
            "server_keys",
            multiple=True,
            metavar="PEM",
            type=click.Path(exists=True, dir_okay=False),
            help="RSA key of a server, for RSA key exchange; repeatable.",
        ),
        log_option("puppetserver.log or HAProxy's log, also .gz, joined with the wire; repeatable."),
        cluster_option,
        vantage_option,
    ],
)
"""The options of every command that reads captures; it is called with ``CaptureArguments``."""

_packets_option = click.option(
    "-c",
    "most_packets",
    type=click.IntRange(1),
    metavar="N",
    help="Read N packets and stop, as tcpdump and tshark do; of several captures together, in the order of time.",
)


def reading_options(command: Command) -> Command:
    """``story_options``, and ``-c``: of commands that may do with a part of the captures."""

    @wraps(command)
    def called(arguments: CaptureArguments, *gathered: object, **values: object) -> None:
        if arguments.most_packets is not None:
            _require_counted(arguments)
        command(arguments, *gathered, **values)

    return story_options(_packets_option(called))


def _require_counted(arguments: CaptureArguments) -> None:
    """Raises UsageError where reading cannot end behind a number of packets."""
    from inspector.capture.inputs import holds_facts

    if arguments.cluster or arguments.vantages:
        raise UsageError("-c reads captures in the order of time, which --cluster and --vantage do not")
    if any(holds_facts(path) for path in arguments.files):
        raise UsageError("-c counts packets, and facts that were kept hold none", "give the captures themselves")


def analysis_of(arguments: CaptureArguments, secrets: SecretInputs | None = None) -> Analysis:
    """Read the captures and logs, and judge; what is wrong with one is said on standard error. ``secrets``: where they
    were read already. Raises InspectorError.
    """
    facts = facts_of(arguments, secrets)
    from inspector.cli.progress import Progress
    from inspector.findings.judge import judge

    progress, count = Progress(sys.stderr), len(facts.connections)
    analysis = judge(facts, arguments.options(), advance=lambda done: progress.judged(done, count))
    progress.done()
    context = click.get_current_context(silent=True)
    kept = context.find_object(Kept) if context is not None else None
    if kept is not None:
        kept.append(analysis)
    return analysis


def facts_of(
    arguments: CaptureArguments, secrets: SecretInputs | None = None, extraction: Extraction | None = None
) -> Facts:
    """Read the captures and logs; what is wrong with one is said on standard error. ``extraction``: who reads captures,
    ``extracted`` by default. Raises InspectorError.
    """
    from inspector.cli.progress import Progress
    from inspector.extract.processes import add_logs
    from inspector.findings.wording import worded
    from inspector.text.safe import safe_text

    secrets = secrets or arguments.secrets()
    progress = Progress(sys.stderr)

    def begun(count: int) -> None:
        progress.begin(count)
        import inspector.findings.judge  # noqa: F401 - loaded here, the other processes are at work by then

    facts = (extraction or extracted)(arguments, progress, begun, secrets)
    progress.done()
    for problem in facts.problems:
        click.echo(f"inspector: {worded(problem)}", err=True)
    for capture in facts.captures:
        if capture.damage:
            click.echo(f"inspector: {capture.path}: {worded(capture.damage)}", err=True)
    add_logs(facts, arguments.logs)
    for log in facts.logs:
        if log.problem:
            click.echo(f"inspector: {safe_text(log.path)}: {worded(log.problem)}", err=True)
    return facts


def extracted(
    arguments: CaptureArguments,
    progress: Progress,
    begun: Callable[[int], None],
    secrets: SecretInputs | None,
) -> Facts:
    """The facts of the captures, read by this machine or by a cluster. Raises InspectorError."""
    if arguments.cluster or arguments.vantages:
        from inspector.fleet.reading import extract_by_cluster  # most analyses need none

        return extract_by_cluster(
            arguments.files,
            arguments.cluster,
            arguments.vantages,
            secrets,
            progress=progress.advance,
            begun=begun,
            advance=progress.files,
        )
    from inspector.extract.processes import extract

    return extract(arguments.files, progress.advance, begun, secrets=secrets, most_packets=arguments.most_packets)
