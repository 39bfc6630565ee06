"""The program: all commands in one group, and the exit status of whatever happens. The rest is imported inside
functions, so that --help is instant.
"""

from __future__ import annotations

import os
import re
from importlib import import_module
from typing import NoReturn

import click

from inspector.cli.captures import Kept
from inspector.cli.completion import PROGRAM, VARIABLE
from inspector.cli.ending import TimelyEnd, end_by
from inspector.cli.exit_status import INTERRUPTED, NOT_PERMITTED, READER_LEFT, SIGNALLED, USAGE
from inspector.cli.streams import flush_standard_output, take_over_standard_streams
from inspector.errors import InspectorError, NotPermittedError, OutputError, ReaderLeftError
from inspector.system.one_thread import keep_numpy_to_one_thread
from inspector.text.version import VERSION

GROUPS: dict[str, dict[str, str]] = {
    "Captures": {
        "open": "open",
        "analyze": "analyze",
        "report": "report",
        "verify": "report",
        "diff": "diff",
        "compare": "compare",
    },
    "Live": {"live": "live", "watch": "live", "probe": "probe", "doctor": "doctor"},
    "Many hosts": {"extract": "extract", "query": "query"},
    "Wireshark": {"wireshark": "wireshark", "extcap": "extcap"},
    "Beside": {"demo": "open", "completion": "completion", "man": "manual", "schema": "schema"},
}
"""The commands as ``--help`` lists them, and the module beside this one that has each as ``NAME_command``: loaded when
it is wanted.
"""

NAME_WIDTH = max(len(name) for commands in GROUPS.values() for name in commands)
MODULES = {name: module for commands in GROUPS.values() for name, module in commands.items()}


LIVE_OPTIONS = re.compile(r"-n*[iD]|--(interface|via)\b")
"""How words begin that only live capture takes."""


class Commands(click.Group):
    """``inspector FILE…`` means ``inspector open FILE…``; what is typed for tcpdump, tshark or zeek means the same:
    ``-r FILE`` reads, ``-i IFACE`` captures.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*MODULES]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in MODULES:
            return None
        command = getattr(import_module(f"inspector.cli.{MODULES[cmd_name]}"), f"{cmd_name}_command")
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in GROUPS.items():
            with formatter.section(title):
                listed = ((name, self.get_command(ctx, name)) for name in commands)
                formatter.write_dl(
                    [(name.ljust(NAME_WIDTH), one.get_short_help_str(100)) for name, one in listed if one is not None]
                )

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0].startswith("-") and len(args[0]) > 1 and not self._is_own(ctx, args[0]):
            is_live = any(map(LIVE_OPTIONS.match, args))
            args = ["live" if is_live else "open", *args]
        return super().parse_args(ctx, args)

    def _is_own(self, ctx: click.Context, word: str) -> bool:
        return any(word in parameter.opts for parameter in self.get_params(ctx))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in MODULES:
            if (
                not args[0].startswith("-")
                and not os.path.exists(args[0])
                and "." not in args[0]
                and "/" not in args[0]
            ):
                raise click.UsageError(f"no such command or file: {args[0]}{_alike(args[0])}", ctx)
            args = ["open", *args]
        return super().resolve_command(ctx, args)


def _alike(word: str) -> str:
    """The question after a command that was mistyped; ``""`` where there is none like it."""
    from difflib import get_close_matches

    names = get_close_matches(word, MODULES)
    return f". Did you mean {' or '.join(map(repr, names))}?" if names else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(VERSION, "-V", "--version", prog_name="inspector", message="%(prog)s %(version)s")
def cli() -> None:
    """Why TLS behind a load balancer misbehaves, told from packets.

    Reads captures (pcap, pcapng, gz, zst, directories, - for standard input) or live traffic, follows sessions and
    certificates across back ends, and explains by Java's own rule which client gave up because the server's certificate
    changed. FILE arguments together are one story.

    \b
    inspector FILE…       the terminal app (same as: inspector open FILE…, inspector -r FILE)
    inspector -i IFACE    the same over live traffic (same as: inspector live -i IFACE)

    \b
    Exit status: 0 fine; 1 findings (analyze, compare, diff, probe), or a bundle that does not hold;
    2 usage, no input can be read, or output cannot be written; 3 incomplete input with --strict;
    4 no permission to capture; 130, 143 on signals; 141 where whoever reads the output leaves.
    """


def run() -> NoReturn:
    """The command, with the contract's exit statuses. It ends at once when all is written."""
    keep_numpy_to_one_thread()
    take_over_standard_streams()

    end_by(TimelyEnd(), leave)
    if not os.path.isabs(os.environ.get("HOME", "")):  # what is kept for a user lies below it
        from inspector.live.host.places import home_of

        os.environ["HOME"] = home_of(os.getuid())
    kept = Kept()
    os._exit(_written(_status(kept)))


def leave(status: int) -> NoReturn:
    """End the command from where it is; what it began is tidied up on the way."""
    raise SystemExit(status)


def _status(kept: Kept) -> int:
    try:
        cli(prog_name=PROGRAM, complete_var=VARIABLE, standalone_mode=False, obj=kept)
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
        return _say_why(error)
    except ImportError as error:
        from inspector.cli.installation import unloadable

        why = unloadable(error)
        if why is None:
            raise
        return _say_why(why)
    return 0


def _written(status: int) -> int:
    """The status when the last of the output is written: that of a signal stays, whoever it left without a reader."""
    try:
        flush_standard_output()
    except OutputError as error:
        return status if status > SIGNALLED else _say_why(error)
    return status


def _say_why(error: InspectorError) -> int:
    """Why the command failed, on standard error; the exit status of that."""
    if isinstance(error, ReaderLeftError):
        return READER_LEFT
    click.echo(f"inspector: {error}", err=True)
    if error.hint:
        click.echo(f"  {error.hint}", err=True)
    return NOT_PERMITTED if isinstance(error, NotPermittedError) else USAGE
