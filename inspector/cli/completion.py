"""``completion``: what makes a shell complete commands, options, files, interfaces, and the fields and values of
filters. A shell asks the program itself each time, so that it offers what this version has. Its library is loaded
inside functions, so that --help is instant.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from click.shell_completion import CompletionItem


PROGRAM, VARIABLE = "inspector", "_INSPECTOR_COMPLETE"
"""What a shell calls, and by which variable it asks."""


@click.command("completion", short_help="What makes a shell complete: bash, zsh or fish.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    """Print what makes a shell complete commands, options, files, interfaces and filters.

    \b
    mkdir -p ~/.local/share/bash-completion/completions
    inspector completion bash > ~/.local/share/bash-completion/completions/inspector
    mkdir -p ~/.zfunc    # zsh: fpath+=~/.zfunc stands in ~/.zshrc, before compinit
    inspector completion zsh > ~/.zfunc/_inspector
    mkdir -p ~/.config/fish/completions
    inspector completion fish > ~/.config/fish/completions/inspector.fish
    """
    from inspector.cli.completion_scripts import script

    click.echo(script(shell, PROGRAM, VARIABLE), nl=False)


def interfaces(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those of this host."""
    import socket

    return _those(["any", *(name for _, name in socket.if_nameindex())], incomplete)


def filters(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """What the last word of a filter may become."""
    from click.shell_completion import CompletionItem

    from inspector.query.completion import completions, last_word

    before = incomplete[: len(incomplete) - len(last_word(incomplete))]
    return [CompletionItem(before + one.text, help=one.about) for one in completions(incomplete, None)]


def sort_columns(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Of connections, in either order."""
    from inspector.tui.connections import COLUMNS

    return _those([*COLUMNS, *(f"-{name}" for name in COLUMNS)], incomplete)


def time_zones(context: click.Context, option: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Those that this system knows, and ours."""
    from zoneinfo import available_timezones

    return _those(["local", "UTC", *sorted(available_timezones() - {"UTC"})], incomplete)


def _those(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(name) for name in names if name.startswith(incomplete)]
