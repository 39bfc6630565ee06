"""What the commands about captures share: their options, and the way from files to an analysis."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from inspector.vips import parsed

if TYPE_CHECKING:
    from inspector.capture.files import Story
    from inspector.document import Limit
    from inspector.findings.case import Options
    from inspector.findings.judge import Analysis


SEVERITIES = ("high", "medium", "low", "info", "never")


def story_options(command: Any) -> Any:
    """The options of every command that reads captures."""
    decorators = [
        click.argument("files", nargs=-1, required=True, metavar="FILE…"),
        click.option(
            "--vip", "vips", multiple=True, metavar="HOST:PORT", help="Look at this service only; repeatable. [v6]:port. Names are compared with server names, never looked up."
        ),
        click.option("--jdk-generation", type=click.Choice(["current", "first"]), default="current", show_default=True, help="Which identity rule: first is before 8u60 and 7u85."),
        click.option("--keylog", multiple=True, metavar="FILE", type=click.Path(exists=True, dir_okay=False), help="NSS key log; accepted, not used yet."),
        click.option("--server-key", multiple=True, metavar="PEM", type=click.Path(exists=True, dir_okay=False), help="RSA private key; accepted, not used yet."),
        click.option("--log", "logs", multiple=True, metavar="FILE", type=click.Path(), help="puppetserver.log or HAProxy's log, also .gz, joined with the wire; repeatable."),
    ]
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def analysis_of(files: tuple[str, ...], options: Options, limits: list[Limit]) -> Analysis:
    """Read the captures and logs, and judge; what is wrong with one is said on standard error. Raises InspectorError."""
    from inspector.extraction import add_logs, extract
    from inspector.progress import Progress
    from inspector.safe import path_text, safe_text

    progress = Progress(sys.stderr)

    def opened(story: Story) -> None:
        progress.opened(story)
        import inspector.findings.judge  # noqa: F401 - loaded here, the other processes are at work by then

    facts = extract(files, progress.advance, opened)
    progress.done()
    for _, text in facts.problems:
        click.echo(f"inspector: {text}", err=True)
    for capture in facts.captures:
        if capture.damage:
            click.echo(f"inspector: {capture.path}: {capture.damage}", err=True)
    add_logs(facts, options.logs)
    for log in facts.logs:
        if log.problem:
            click.echo(f"inspector: {safe_text(path_text(log.path))}: {log.problem}", err=True)
    from inspector.findings.judge import judge

    return judge(facts, options, limits)


def options_of(vips: tuple[str, ...], generation: str, logs: tuple[str, ...] = ()) -> Options:
    """Raises UsageError where a VIP is none."""
    from inspector.findings.case import Options

    return Options("first" if generation == "first" else "current", tuple(parsed(v) for v in vips), logs=logs)


def secrets_limits(keylog: tuple[str, ...], server_key: tuple[str, ...]) -> list[Limit]:
    """Options that are accepted before what they need exists are named as limits."""
    if not (keylog or server_key):
        return []
    from inspector.document import Limit
    from inspector.safe import path_text

    return [Limit("secrets_not_used", f"{path_text(path)}: records are not decrypted by this version", None, []) for path in (*keylog, *server_key)]
