"""``man``: the manual page, made from what ``--help`` says, in the language of man(7)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import click

from inspector.text.version import VERSION


@click.command("man", short_help="The manual page: inspector man | man -l -")
@click.pass_context
def man_command(context: click.Context) -> None:
    """Print the manual page, for man -l - to show."""
    group = context.find_root().command
    assert isinstance(group, click.Group)
    click.echo(page(group), nl=False)


def page(group: click.Group) -> str:
    """The page of a program and all of its commands."""
    context = click.Context(group, info_name="inspector", **group.context_settings)
    summary, *paragraphs = _paragraphs(group)
    lines = [
        f'.TH INSPECTOR 1 "" "inspector {VERSION}" "User Commands"',
        ".SH NAME",
        f"inspector \\- {_text(summary)}",
        ".SH SYNOPSIS",
        ".B inspector",
        r"\fICOMMAND\fR [\fIOPTION\fR]... [\fIARGUMENT\fR]...",
        ".SH DESCRIPTION",
        *_prose(paragraphs),
        ".SH COMMANDS",
    ]
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is not None:
            lines += _command(command, click.Context(command, info_name=name, parent=context))
    return "\n".join(lines) + "\n"


def _command(command: click.Command, context: click.Context) -> Iterator[str]:
    words = " ".join(command.collect_usage_pieces(context))
    yield f'.SS "{_text(f"inspector {context.info_name} {words}")}"'
    yield from _prose(_paragraphs(command))
    for parameter in command.get_params(context):
        record = parameter.get_help_record(context)
        if isinstance(parameter, click.Option) and record is not None and "--help" not in parameter.opts:
            yield from (".TP", f".B {_text(record[0])}", _text(record[1]))


def _paragraphs(command: click.Command) -> list[str]:
    """Of its help; ``\\b`` begins one whose lines stay as they are."""
    return re.split(r"\n\n+", re.sub(r"\n {4}", "\n", f"\n    {(command.help or '').strip()}").strip())


def _prose(paragraphs: Iterable[str]) -> Iterator[str]:
    for number, paragraph in enumerate(paragraphs):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):
            yield from (".nf", *map(_text, paragraph.removeprefix("\b\n").splitlines()), ".fi")
        else:
            yield _text(" ".join(paragraph.split()))


def _text(words: str) -> str:
    """A line of text in which nothing is a request or an escape."""
    escaped = words.replace("\\", r"\e").replace("-", r"\-").replace('"', r"\(dq")
    return rf"\&{escaped}" if escaped[:1] in {".", "'"} else escaped
