"""From the arguments of a command to facts, by a cluster: captures as sequences, journals and facts beside them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from inspector.capture.files import Progress, Story
from inspector.capture.inputs import facts_bytes, holds_facts
from inspector.errors import UsageError
from inspector.extract.merging import merge
from inspector.extract.processes import kept_facts, require_any
from inspector.extract.shard import unreadable
from inspector.facts import Facts
from inspector.fleet.dask_cluster import DaskCluster, is_encrypted
from inspector.fleet.extraction import FleetRecord, extract_fleet
from inspector.fleet.sequences import pattern, sequences, vantage_of
from inspector.fleet.tasks import in_this_process
from inspector.secrets.inputs import SecretInputs


def extract_by_cluster(
    paths: Sequence[str],
    cluster: str = "",
    vantages: Sequence[str] = (),
    secrets: SecretInputs | None = None,
    *,
    progress: Progress | None = None,
    begun: Callable[[int], None] | None = None,
    record: FleetRecord | None = None,
    advance: Callable[[int, int], None] | None = None,
) -> Facts:
    """All facts of some captures, journals and directories of facts. ``cluster``: as in ``DaskCluster``; this process
    alone where it is empty. ``vantages``: each ``NAME=GLOB``. ``progress``, ``begun``: as in ``extract``, of what was
    kept alone; ``advance``: as in ``extract_fleet``, of captures. Raises InspectorError.
    """
    if "-" in paths:
        raise UsageError("standard input is one stream, read by one process: not with --cluster or --vantage")
    if cluster and not is_encrypted(cluster) and secrets is not None and secrets.key_logs:
        raise UsageError(
            f"--cluster {cluster}: secrets are not sent where others may read them", "use tls:// or local:N"
        )
    patterns = [pattern(text) for text in vantages]
    kept = [path for path in paths if holds_facts(path)]
    if kept and begun is not None:
        begun(sum(map(facts_bytes, kept)))
    parts = [kept_facts(path, progress) for path in kept]
    captures = [path for path in paths if not holds_facts(path)]
    if captures:
        story = Story(captures)
        captured = sequences(story, patterns)
        if cluster:
            with DaskCluster(cluster) as dask:
                facts = extract_fleet(captured, dask.run, secrets, record, advance)
        else:
            facts = extract_fleet(captured, in_this_process, secrets, record, advance)
        for capture in facts.captures:
            matching = vantage_of(capture.path, patterns)
            capture.host = matching.name if matching is not None else ""
        facts.problems = [*unreadable(story), *facts.problems]
        parts.append(facts)
    whole = merge(parts)
    if kept:
        require_any(whole, kept)
    return whole
