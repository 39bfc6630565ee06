"""The output formats of an analysis: one table, from which the command line and the app's export menu take them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, BinaryIO, NamedTuple, TextIO

from inspector.text.terminal import TerminalText
from inspector.text.zones import UTC, TimeZone

if TYPE_CHECKING:
    from inspector.findings.judge import Analysis, Wanted


class SeveralFiles(NamedTuple):
    """An analysis as files of a folder. ``write``: given what opens a file by its name, to be closed by ``write``."""

    names: Callable[[], Iterable[str]]
    write: Callable[[Analysis, Wanted, Callable[[str], BinaryIO]], None]


class Format(NamedTuple):
    """``menu``: what the app's export menu calls it. ``is_filtered``: whether the app's filter goes for it too.
    ``files``: how it is written into a folder, where it can be.
    """

    name: str
    suffix: str
    menu: str
    write: Callable[[Analysis, Wanted, BinaryIO, TimeZone], None]
    is_filtered: bool = False
    files: SeveralFiles | None = None


def _write_text(analysis: Analysis, wanted: Wanted, target: BinaryIO, zone: TimeZone) -> None:
    from inspector.reports.text import write_text

    connections = analysis.connections(0, None, wanted) if wanted is not None else None
    _encoded(target, lambda text: write_text(analysis, connections, text, zone))


def _write_json(analysis: Analysis, wanted: Wanted, target: BinaryIO) -> None:
    from inspector.reports.json_stream import write_json

    write_json(analysis, wanted, target)


def _write_jsonl(analysis: Analysis, wanted: Wanted, target: BinaryIO) -> None:
    from inspector.reports.json_stream import write_jsonl

    write_jsonl(analysis, wanted, target)


def _write_csv(analysis: Analysis, wanted: Wanted, target: BinaryIO) -> None:
    from inspector.reports.csv_table import write_csv

    _encoded(target, lambda text: write_csv(analysis, analysis.connections(0, None, wanted), text))


def _write_ecs(analysis: Analysis, wanted: Wanted, target: BinaryIO) -> None:
    from inspector.reports.ecs.analysis import write_ecs

    write_ecs(analysis, wanted, target)


def _write_zeek(analysis: Analysis, wanted: Wanted, target: BinaryIO) -> None:
    from inspector.reports.zeek.analysis import ZeekLogs

    ZeekLogs(analysis, wanted).write_json(target)


def _zeek_logs() -> list[str]:
    from inspector.reports.zeek.columns import COLUMNS

    return [f"{path}.log" for path in COLUMNS]


def _write_zeek_logs(analysis: Analysis, wanted: Wanted, opened: Callable[[str], BinaryIO]) -> None:
    from inspector.reports.zeek.analysis import ZeekLogs
    from inspector.reports.zeek.columns import COLUMNS

    logs = ZeekLogs(analysis, wanted)
    for path in COLUMNS:
        with opened(f"{path}.log") as log:
            logs.write_log(path, log)


def _in_utc(
    write_in_utc: Callable[[Analysis, Wanted, BinaryIO], None],
) -> Callable[[Analysis, Wanted, BinaryIO, TimeZone], None]:
    """What programs read has one zone, whatever people are shown."""
    return lambda analysis, wanted, target, zone: write_in_utc(analysis, wanted, target)


def _encoded(target: BinaryIO, write: Callable[[TextIO], None]) -> None:
    """What is written as text, in UTF-8."""
    text = TerminalText(target, encoding="utf-8", errors="backslashreplace", write_through=False)
    write(text)
    text.flush()
    text.detach()


FORMATS = {
    each.name: each
    for each in (
        Format("text", "txt", "analysis as text, to paste into a ticket", _write_text),
        Format("json", "json", "analysis as JSON", _in_utc(_write_json)),
        Format("jsonl", "jsonl", "analysis as JSON lines", _in_utc(_write_jsonl)),
        Format("csv", "csv", "connections as CSV, filtered", _in_utc(_write_csv), is_filtered=True),
        Format("ecs", "ecs.jsonl", "events of the Elastic Common Schema, JSON lines", _in_utc(_write_ecs)),
        Format(
            "zeek",
            "zeek.jsonl",
            "Zeek's logs, JSON lines",
            _in_utc(_write_zeek),
            files=SeveralFiles(_zeek_logs, _write_zeek_logs),
        ),
    )
}
"""By name. What writes is imported when it is used."""


def write(analysis: Analysis, name: str, wanted: Wanted, target: BinaryIO, zone: TimeZone = UTC) -> None:
    """``name``: of a format. ``zone``: of times in text. Raises OSError where it cannot be written."""
    FORMATS[name].write(analysis, wanted, target, zone)
    target.flush()
