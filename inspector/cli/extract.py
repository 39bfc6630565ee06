"""``extract``: captures to facts, where the captures lie; the facts are small and can be brought together."""

from __future__ import annotations

import hashlib
import os
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.captures import CaptureArguments, story_options
from inspector.errors import UnreadableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inspector.cli.following import PartRun
    from inspector.extract.open_flows import OpenFlowsFolder
    from inspector.extract.tables import PartManifest, PartWriter
    from inspector.extract.tables.inputs import InputFiles, Origin
    from inspector.extract.tables.manifest import InputFile, Role
    from inspector.facts import Facts
    from inspector.redaction.disguise import Disguise

LONGEST_VANTAGE = 80
WAITING = "inspector: another run extracts into the same directory: this one waits for its end"
NOT_FOLLOWED = "connections are not followed from run to run"
NOT_ALONE = "other runs into the same directory do not wait for this one"


class _Writing(NamedTuple):
    """``vantage``: the name of where the captures were made. ``is_named``: somebody said it, so that the analysis says
    it too. ``redaction_key``: None where nothing is replaced. ``parts``: those that are whole, looked at once and kept
    up to date: to tell it every file of them is hashed; ``spoiled``: others. ``open_flows``: None where nothing is
    followed from one run into the next; ``always_follows``: as in ``FollowedPart``.
    """

    directory: str
    vantage: str
    is_named: bool
    redaction_key: bytes | None
    writer: PartWriter
    parts: list[PartManifest]
    spoiled: list[PartManifest]
    open_flows: OpenFlowsFolder | None
    always_follows: bool


@click.command("extract", short_help="What captures say as tables, to be brought together: -o DIR.")
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
@click.option("--redact", is_flag=True, help="Replace addresses, names, certificates and tickets; as report does.")
@click.option("--redact-key", metavar="FILE", help="The key to redact with; made if it is not there.")
@click.option(
    "--follow/--no-follow",
    "is_following",
    default=None,
    help="Go on with connections that were open at the end of the run before, and keep those that are for the next. The"
    " default, but for --cluster, --keylog and --server-key, and for a first pile that is worth several processes.",
)
def extract_command(
    arguments: CaptureArguments, directory: str, redact: bool, redact_key: str | None, is_following: bool | None
) -> None:
    """Write what captures and journals say as tables: a part for all captures of a vantage point, and one for each
    journal. What was extracted before is not read again, and connections that go on in later captures are followed
    there by later runs. All commands that take captures take DIR; query asks it in SQL. --vantage NAME, without a
    pattern, says where all of them were made.
    """
    from inspector.capture.inputs import is_facts, is_journal
    from inspector.capture.opening import is_url
    from inspector.extract.tables import PartWriter, listed_parts

    if arguments.vips:
        raise UsageError("extract takes everything; --vip looks at a service later: inspector analyze DIR --vip …")
    if "-" in arguments.files:
        raise UsageError("standard input can be read only once, and a part is named by its input", "save it to a file")
    if "://" in directory:
        raise UsageError(f"{directory}: facts are written to a directory of this host")
    for path in arguments.files:
        if is_url(path):
            raise UsageError(f"{path}: a part is named by its input, which is read on this host", "copy it here")
        if is_facts(path):
            raise UsageError(f"{path}: these are facts", "every command takes several directories of facts at once")
    by_vantage = _by_vantage(arguments)
    names = {vantage: _checked(socket.gethostname() if vantage is None else vantage) for vantage in by_vantage}
    key = _redaction_key(redact, redact_key)
    may_follow = is_following is not False and not (arguments.cluster or arguments.key_logs or arguments.server_keys)
    with _alone(directory, follows=may_follow) as open_flows:
        writer = PartWriter(directory)
        parts, spoiled = listed_parts(directory)
        for vantage, files in by_vantage.items():
            writing = _Writing(
                directory,
                names[vantage],
                is_named=vantage is not None,
                redaction_key=key,
                writer=writer,
                parts=parts,
                spoiled=spoiled,
                open_flows=open_flows,
                always_follows=is_following is True,
            )
            journals = [path for path in files if is_journal(path)]
            captures = [path for path in files if path not in journals]
            if captures:
                _extract_part(arguments, captures, "capture", writing)
            for path in journals:
                _extract_part(arguments, [path], "journal", writing)
        if open_flows is not None:
            from inspector.extract.tables.continuing import kept_parts

            with suppress(OSError):
                open_flows.retain(kept_parts(parts, open_flows))


@contextmanager
def _alone(directory: str, *, follows: bool) -> Iterator[OpenFlowsFolder | None]:
    """Behind another run that extracts into the same directory: both would write its parts, from what they saw there.
    Gives where open flows are kept from run to run; None where they cannot be, or nothing ``follows`` them.
    """
    from inspector.extract.open_flows import OpenFlowsFolder
    from inspector.settings import open_flows_folder
    from inspector.text.safe import path_text

    folder = OpenFlowsFolder(open_flows_folder(), directory)
    try:
        lock = folder.lock(lambda: click.echo(WAITING, err=True))
    except OSError as error:
        reason = path_text(str(error))
        click.echo(f"inspector: {NOT_FOLLOWED if follows else NOT_ALONE}: {reason}", err=True)
        yield None
        return
    with lock:
        yield folder if follows else None


def _by_vantage(arguments: CaptureArguments) -> dict[str | None, list[str]]:
    """The paths by where they were made; None where nobody said. Raises UsageError."""
    names = [text for text in arguments.vantages if "=" not in text]
    if len(names) > 1:
        raise UsageError("--vantage: one name is for all captures", "--vantage NAME=GLOB is for those that match")
    others = names[0] if names else None
    if len(names) == len(arguments.vantages):
        return {others: list(arguments.files)}
    from inspector.capture.inputs import find, is_journal
    from inspector.fleet.sequences import pattern, vantage_of

    patterns = [pattern(text) for text in arguments.vantages if "=" in text]
    files: dict[str | None, list[str]] = {}
    for argument in arguments.files:
        for path in [argument] if is_journal(argument) else find([argument]):
            matching = vantage_of(path, patterns)
            files.setdefault(matching.name if matching is not None else others, []).append(path)
    return files


def _checked(vantage: str) -> str:
    """It becomes the name of a directory. Raises UsageError."""
    from inspector.extract.tables.columns import utf8

    if not 0 < len(os.fsencode(vantage)) <= LONGEST_VANTAGE or vantage.startswith("__HIVE"):
        raise UsageError(f"--vantage: a name of at most {LONGEST_VANTAGE} bytes")
    return utf8(vantage)


def _redaction_key(redact: bool, path: str | None) -> bytes | None:
    if not redact and not path:
        return None
    from inspector.redaction.keys import load
    from inspector.text.safe import path_text

    key, key_path, is_new = load(path)
    if is_new:
        click.echo(f"inspector: a new redaction key lies in {path_text(str(key_path))}: keep it to yourself", err=True)
    return key


def _extract_part(arguments: CaptureArguments, paths: list[str], role: Role, writing: _Writing) -> None:
    """One part of what is not there yet. Raises InspectorError."""
    from inspector.cli.following import FollowedPart, read_part
    from inspector.extract.tables.inputs import InputFiles, Origin, part_name, planned
    from inspector.redaction.disguise import Disguise

    key = writing.redaction_key
    parts = writing.parts
    disguise = Disguise(key) if key is not None else None
    vantage = writing.vantage if disguise is None else disguise.name(writing.vantage)
    redaction = "" if key is None else hashlib.sha256(b"redaction key" + key).hexdigest()[:16]
    origin = Origin(vantage, writing.is_named, redaction)
    files = InputFiles(parts, key)
    beside = [files.file(path, "beside") for path in (*arguments.logs, *arguments.key_logs, *arguments.server_keys)]
    wanted, missing = _inputs(files, paths, role)
    plan = planned(wanted, beside, parts, origin, writing.spoiled)
    if not plan.inputs:
        if not wanted:
            raise UnreadableError(missing[0])
        _say(writing, "all of it is there: nothing was read again")
        return
    read = [each.path for each in plan.inputs if each.role != "beside"]
    one_sequence = ("all=*",) if arguments.cluster else ()
    arguments = arguments._replace(files=(*read, *missing), vantages=one_sequence)
    if writing.open_flows is None or role == "journal":
        run = read_part(arguments, plan)
    else:
        followed = FollowedPart(
            writing.open_flows, parts, lambda text: _say(writing, text), always=writing.always_follows
        )
        run = followed.read(arguments, plan, origin)
        followed.leave(part_name(origin, run.plan.inputs, run.plan.continues), read)
    written = _PartOutput(writing, origin, disguise, role).write(run)
    plan = run.plan
    gone = {*(each.name for each in written), *(older.name for older in plan.replaced)}
    parts[:] = [part for part in parts if part.name not in gone] + written
    for older in plan.replaced:
        if not older.open_of and older.name not in {each.name for each in written}:
            _say(writing, f"part {older.name} of the same files, as they were before, is gone")
    if plan.continues:
        _say(writing, f"went on from the end of part {plan.continues}")
    connections = sum(file.rows for manifest in written for file in manifest.of("connections"))
    count = len(read)
    _say(
        writing,
        f"part {written[-1].name}, vantage point {vantage}: {connections:,} connections of {count}"
        f" capture{'' if count == 1 else 's'}",
    )


class _PartOutput(NamedTuple):
    """``role``: of the files that are read."""

    writing: _Writing
    origin: Origin
    disguise: Disguise | None
    role: Role

    def write(self, run: PartRun) -> list[PartManifest]:
        """A part, behind that of flows that are open at its end, if there are any. Raises OutputError."""
        import msgspec

        from inspector.extract.tables import CaptureDigests
        from inspector.extract.tables.inputs import PartPlan, part_name
        from inspector.redaction.paths import path_name
        from inspector.text.safe import path_text

        plan = run.plan
        sha256s = {path_text(each.path): each.sha256 for each in plan.inputs}
        new = CaptureDigests(tuple(sha256s.get(capture.path, "") for capture in run.facts.captures))
        if self.disguise is not None:
            plan = plan._replace(
                inputs=tuple(
                    msgspec.structs.replace(each, path=path_name(each.path, self.disguise)) for each in plan.inputs
                )
            )
        writer, manifests = self.writing.writer, []
        name = part_name(self.origin, plan.inputs, plan.continues)
        if run.run is not None:
            new, (facts, earlier) = run.run.over.digests, run.run.still_open
            if facts.connections or facts.other_flows:
                facts = self._finished(facts)
                manifests.append(writer.write(facts, PartPlan((), ()), self.origin, earlier, open_of=name))
        still_open = manifests[0].name if manifests else ""
        manifests.append(writer.write(self._finished(run.facts), plan, self.origin, new, still_open=still_open))
        return manifests

    def _finished(self, facts: Facts) -> Facts:
        """As they are written."""
        for capture in facts.captures:
            capture.host = (
                self.writing.vantage if self.writing.is_named else capture.host if self.role == "journal" else ""
            )
        return _redacted(facts, self.disguise) if self.disguise is not None else facts


def _inputs(files: InputFiles, paths: list[str], role: Role) -> tuple[list[InputFile], list[str]]:
    """The files that the paths mean, each content once; and the paths that mean none, which are named as when they are
    analysed.
    """
    from inspector.capture.inputs import find

    inputs: dict[str, InputFile] = {}
    missing: list[str] = []
    for argument in paths:
        try:
            for path in find([argument]) if role == "capture" else [argument]:
                each = files.file(path, role)
                inputs.setdefault(each.sha256, each)
        except UnreadableError:
            missing.append(argument)
    return [*inputs.values()], missing


def _redacted(facts: Facts, disguise: Disguise) -> Facts:
    """All that identifies replaced."""
    from inspector.redaction.certificates import Remaker
    from inspector.redaction.facts import redacted_facts
    from inspector.tracking.sightings import merge_sightings

    return redacted_facts(merge_sightings(facts), disguise, Remaker(disguise))


def _say(writing: _Writing, text: str) -> None:
    from inspector.text.safe import path_text, safe_text

    click.echo(f"{path_text(writing.directory)}: {safe_text(text, 500)}")
