"""From one run of ``extract`` into the next: a part goes on with the flows that were open at the end of another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from inspector.cli.captures import CaptureArguments, extracted, facts_of

if TYPE_CHECKING:
    from inspector.cli.progress import Progress
    from inspector.extract.open_flows import NotTakenUp, OpenFlowsFolder
    from inspector.extract.resuming import ExtractionRun
    from inspector.extract.tables.inputs import Origin, PartPlan
    from inspector.extract.tables.manifest import PartManifest
    from inspector.facts import Facts
    from inspector.secrets.inputs import SecretInputs

NOT_FOLLOWED: dict[NotTakenUp, str] = {
    "missing": "they were not kept, or not by this user on this host",
    "foreign": "others may have written what was kept of them",
    "other_program": "another version of the program kept them",
    "damaged": "what was kept of them is damaged",
    "later": "these captures begin before that; captures of one place are read in the order of time, and others have a"
    " --vantage of their own",
}
BY_THEMSELVES = "these captures bring secrets, or hold copies of packets by clocks that are apart"
BY_SEVERAL = (
    "read by {count} processes at once: flows that are open at the end are not kept for the next run; with --follow one"
    " process reads, and keeps them"
)
TOO_MANY = "flows that are open at the end are too large to be kept for the next run: they end here"


class PartRun(NamedTuple):
    """What was read for a part. ``plan``: with what it goes on from; ``facts``: of flows that are over, of all where
    ``run`` is None; ``run``: what is to go on.
    """

    plan: PartPlan
    facts: Facts
    run: ExtractionRun | None


def read_part(arguments: CaptureArguments, plan: PartPlan) -> PartRun:
    """By itself. Raises InspectorError."""
    return PartRun(plan, facts_of(arguments), None)


class FollowedPart:
    """A part that goes on from another, where there is one. ``say``: where what could not be done is told. ``always``:
    also the first of what several processes could read at once, which leave nothing for the next run.
    """

    def __init__(
        self, folder: OpenFlowsFolder, parts: Sequence[PartManifest], say: Callable[[str], None], *, always: bool
    ) -> None:
        self._always = always
        self._folder = folder
        self._parts = parts
        self._say = say
        self._run: ExtractionRun | None = None
        self._plan: PartPlan | None = None

    def read(self, arguments: CaptureArguments, plan: PartPlan, origin: Origin) -> PartRun:
        """The captures of a plan. Raises InspectorError."""
        self._plan = plan
        facts = facts_of(arguments, extraction=lambda *options: self._extraction(origin, *options))
        return PartRun(self._plan, facts, self._run)

    def _extraction(
        self,
        origin: Origin,
        arguments: CaptureArguments,
        progress: Progress,
        begun: Callable[[int], None],
        secrets: SecretInputs | None,
    ) -> Facts:
        from inspector.capture.files import Story
        from inspector.extract.processes import processes_for
        from inspector.extract.resuming import read_on

        story = cache(lambda: Story(arguments.files))  # a glance at every capture, where and when it is needed
        plan, before = self._continued(origin, lambda: story().first_ns)
        if before is None and not self._always and (count := processes_for(arguments.files)) > 1:
            self._say(BY_SEVERAL.format(count=count))
            return extracted(arguments, progress, begun, secrets)
        sha256s = {each.path: each.sha256 for each in plan.inputs}
        try:
            self._run = read_on(story(), sha256s, before, progress.advance, begun)
        except ValueError:
            self._say_not_followed(NOT_FOLLOWED["damaged"])
            plan = plan._replace(continues="", continued=())
            self._run = read_on(Story(arguments.files), sha256s, None, progress.advance, begun)
        if self._run is not None:
            self._plan = plan
            return self._run.over.facts
        if plan.continues:
            self._say_not_followed(BY_THEMSELVES)
        return extracted(arguments, progress, begun, secrets)

    def _continued(self, origin: Origin, first_ns: Callable[[], int | None]) -> tuple[PartPlan, bytes | None]:
        """The plan with what it goes on from, and what that left. ``first_ns``: as in ``continuation``."""
        from inspector.extract.tables.continuing import continuation
        from inspector.extract.tables.inputs import open_at_end

        assert self._plan is not None
        chosen = continuation(self._parts, self._plan, origin, self._folder, first_ns)
        if chosen.not_followed is not None:
            self._say_not_followed(NOT_FOLLOWED[chosen.not_followed])
        if not chosen.part:
            return self._plan, None
        try:
            before = self._folder.read(chosen.part)
        except (OSError, ValueError):
            self._say_not_followed(NOT_FOLLOWED["damaged"])
            return self._plan, None
        continued = open_at_end(self._parts, [chosen.part])
        return self._plan._replace(continues=chosen.part, continued=continued), before

    def _say_not_followed(self, why: str) -> None:
        self._say(f"flows that were open at the end of the part before are not followed: {why}")

    def leave(self, name: str, paths: Sequence[str]) -> None:
        """Keep what is open at the end of a part, before there is one. ``paths``: of its captures."""
        from inspector.extract.open_flows import OpenFlows
        from inspector.extract.tables.continuing import sequence_names

        run = self._run
        if run is None:
            return
        if run.left_off is None:
            self._say(TOO_MANY)
            return
        try:
            self._folder.write(name, OpenFlows(run.last_ns, sequence_names(paths), run.flows), run.left_off)
        except OSError as error:
            self._say(f"flows that are open at the end are not kept for the next run: {error.strerror or error}")
