"""Inspector: why TLS behind a load balancer misbehaves, told from packets.

from inspector import analyze
document = analyze("vip.pcap")
for finding in document.findings: print(finding.title)
"""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Literal

from inspector.errors import InspectorError, UnreadableError, UsageError
from inspector.text.version import VERSION

if TYPE_CHECKING:
    import polars as pl
    import pyarrow as pa

    from inspector.document import Document
    from inspector.reports.arrow.tables import TableName

__version__ = VERSION


def analyze(
    *paths: str | PathLike[str],
    vips: tuple[tuple[str, int], ...] = (),
    jdk_generation: Literal["first", "current"] = "current",
    logs: Sequence[str | PathLike[str]] = (),
    key_logs: Sequence[str | PathLike[str]] = (),
) -> Document:
    """The analysis document of some captures, read as one story; the same that ``inspector analyze -T json`` writes.

    ``vips``: (host, port) of the services to look at, all by default. ``logs``: of Puppet Server or HAProxy.
    ``key_logs``: to open encrypted handshakes with; a process that holds secrets, also a capture's own, leaves no core
    dump from then on. Raises UnreadableError where no input is a capture, UsageError
    where a key log cannot be read.
    """
    from inspector.extract.processes import add_logs, extract
    from inspector.findings.case import Options
    from inspector.findings.judge import judge

    secret_inputs = None
    if key_logs:
        from inspector.secrets.inputs import SecretInputs, content_of

        secret_inputs = SecretInputs([(fspath(p), content_of(fspath(p))) for p in key_logs])
    facts = extract([fspath(p) for p in paths], secrets=secret_inputs)
    add_logs(facts, [fspath(p) for p in logs])
    return judge(facts, Options(jdk_generation, vips)).complete()


def to_arrow(document: Document, table: TableName = "connections") -> pa.Table:
    """A table of a document for notebooks, as Arrow's: ``connections``, ``handshakes``, ``sessions``,
    ``session_uses``, ``findings``, ``incidents``, ``services``, ``backends``, ``clients`` or ``certificates``.

    Times are nanoseconds UTC, texts of which few differ are dictionaries, what is not known is null. Raises UsageError
    without PyArrow, and where there is no such table.
    """
    from inspector.reports.arrow.tables import to_arrow

    return to_arrow(document, table)


def to_batches(document: Document, table: TableName = "connections") -> pa.RecordBatchReader:
    """The same as a stream of record batches, each made when it is asked for."""
    from inspector.reports.arrow.tables import to_batches

    return to_batches(document, table)


def to_polars(document: Document, table: TableName = "connections") -> pl.DataFrame:
    """The same as a data frame of Polars. Raises UsageError without Polars and PyArrow, and where there is no such
    table.
    """
    from inspector.reports.arrow.tables import to_polars

    return to_polars(document, table)


__all__ = [
    "InspectorError",
    "UnreadableError",
    "UsageError",
    "__version__",
    "analyze",
    "to_arrow",
    "to_batches",
    "to_polars",
]
