"""``extract``: captures to facts, where the captures lie; the facts are small and can be brought together."""

from __future__ import annotations

import socket
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.captures import CaptureArguments, story_options
from inspector.errors import UsageError

if TYPE_CHECKING:
    from inspector.extract.tables.manifest import InputFile, PartManifest
    from inspector.facts import Facts


class _Writing(NamedTuple):
    """``vantage``: the name of where the captures were made. ``is_named``: somebody said it, so that the analysis says
    it too. ``redaction_key``: None where nothing is replaced.
    """

    directory: str
    vantage: str
    is_named: bool
    redaction_key: bytes | None


@click.command("extract")
@story_options
@click.option(
    "-o",
    "--output",
    "directory",
    required=True,
    metavar="DIR",
    type=click.Path(file_okay=False),
    help="The directory of facts; made where it is missing, added to where it is there.",
)
@click.option(
    "--vantage",
    metavar="NAME",
    help="Where the captures were made, which the analysis says then; else the parts bear the name of this host.",
)
@click.option("--redact", is_flag=True, help="Replace addresses, names, certificates and tickets; as report does.")
@click.option("--redact-key", metavar="FILE", help="The key to redact with; made if it is not there.")
def extract_command(
    arguments: CaptureArguments, directory: str, vantage: str | None, redact: bool, redact_key: str | None
) -> None:
    """Write what captures and journals say as tables: a part for all captures, and one for each journal. What was
    extracted before is not read again. All commands that take captures take DIR; query asks it in SQL.
    """
    from inspector.capture.inputs import find, is_journal

    if arguments.vips:
        raise UsageError("extract takes everything; --vip looks at a service later: inspector analyze DIR --vip …")
    if "-" in arguments.files:
        raise UsageError("standard input can be read only once, and a part is named by its input", "save it to a file")
    writing = _Writing(
        directory, vantage or socket.gethostname(), vantage is not None, _redaction_key(redact, redact_key)
    )
    journals = [path for path in arguments.files if is_journal(path)]
    captures = [path for path in arguments.files if path not in journals]
    for files in ([captures] if captures else []) + [[path] for path in journals]:
        _extract_part(arguments._replace(files=tuple(files)), files if files[0] in journals else find(files), writing)


def _redaction_key(redact: bool, path: str | None) -> bytes | None:
    if not redact and not path:
        return None
    from inspector.redaction.keys import load
    from inspector.text.safe import path_text

    key, key_path, is_new = load(path)
    if is_new:
        click.echo(f"inspector: a new redaction key lies in {path_text(str(key_path))}: keep it to yourself", err=True)
    return key


def _extract_part(arguments: CaptureArguments, files: list[str], writing: _Writing) -> None:
    """One part, where it is not there yet. Raises InspectorError."""
    from inspector.extract.tables import PartWriter
    from inspector.extract.tables.manifest import input_file, part_name, parts_of

    writer = PartWriter(writing.directory)
    known = parts_of(writing.directory).manifests
    beside = [*arguments.logs, *arguments.key_logs, *arguments.server_keys]
    inputs = tuple(input_file(path, known) for path in (*files, *beside))
    name = part_name(writing.vantage, inputs, writing.redaction_key)
    if name in {manifest.name for manifest in known}:
        _say(writing, f"part {name} is there: nothing was read again")
        return
    facts = _facts(arguments)
    if writing.is_named:
        for capture in facts.captures:
            capture.host = writing.vantage
    if writing.redaction_key is not None:
        facts, inputs, writing = _redacted(facts, inputs, writing)
    manifest = writer.write(name, facts, writing.vantage, inputs)
    for older in known:
        if _is_outdated(older, manifest):
            writer.remove(older)
            _say(writing, f"part {older.name} of the same files, as they were before, is gone")
    captures = len(facts.captures)
    _say(
        writing,
        f"part {name}, vantage point {writing.vantage}: {len(facts.connections):,} connections of {captures}"
        f" capture{'' if captures == 1 else 's'}",
    )


def _facts(arguments: CaptureArguments) -> Facts:
    """Read the captures; what is wrong with one is said. Raises InspectorError."""
    from inspector.cli.captures import facts_of

    return facts_of(arguments)


def _redacted(
    facts: Facts, inputs: tuple[InputFile, ...], writing: _Writing
) -> tuple[Facts, tuple[InputFile, ...], _Writing]:
    """All that identifies replaced, also in the manifest."""
    from msgspec.structs import replace

    from inspector.redaction.certificates import Remaker
    from inspector.redaction.disguise import Disguise
    from inspector.redaction.facts import redacted_facts
    from inspector.redaction.paths import path_name
    from inspector.tracking.sightings import merge_sightings

    assert writing.redaction_key is not None
    disguise = Disguise(writing.redaction_key)
    return (
        redacted_facts(merge_sightings(facts), disguise, Remaker(disguise)),
        tuple(replace(each, path=path_name(each.path, disguise)) for each in inputs),
        writing._replace(vantage=disguise.name(writing.vantage)),
    )


def _is_outdated(older: PartManifest, newer: PartManifest) -> bool:
    """Whether a part was made at the same place from files of the same names, which have changed since: a journal that
    grew, a capture that was not yet whole.
    """
    names = {each.path for each in newer.inputs}
    return (
        older.name != newer.name
        and older.vantage == newer.vantage
        and bool(older.inputs)
        and {each.path for each in older.inputs} <= names
    )


def _say(writing: _Writing, text: str) -> None:
    from inspector.text.safe import path_text, safe_text

    click.echo(f"{path_text(writing.directory)}: {safe_text(text, 500)}", file=sys.stdout)
