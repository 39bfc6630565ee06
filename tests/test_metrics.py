"""Metrics of a live capture, in Prometheus' text format: a whole file, each series once, whatever names hold."""

from __future__ import annotations

import itertools
import re
import shutil
import subprocess
from pathlib import Path

from inspector.live.outputs.metric_families import label_value
from inspector.live.outputs.metrics import escaped
from tests.build import Pool, capture, certificate, numbered
from tests.live import watched
from tests.test_watch import fault
from tests.waiting import COMMAND_SECONDS

A = certificate("puppetdb1", ("puppetdb1.example.com",))


def test_metrics_are_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "inspector.prom"
    watched(capture(fault().flows), "--no-journal", "--metrics", str(path))
    text = path.read_text()
    assert text.endswith("# EOF\n")
    assert (
        'inspector_handshakes_total{service="puppetdb.example.com:8081",backend="B",result="aborted",'
        'health_check="false"} 1\n' in text
    )
    assert "inspector_incidents_total 1\n" in text
    assert path.stat().st_mode & 0o777 == 0o644
    assert not list(tmp_path.glob("*.part"))


def series(text: str) -> dict[str, str]:
    """The samples of a file in Prometheus' text format, whose types are told before them, each once."""
    types: dict[str, str] = {}
    found: dict[str, str] = {}
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in types
            types[name] = kind
        elif not line.startswith("#"):
            sample, _, value = line.rpartition(" ")
            name = sample.partition("{")[0]
            if name not in types:
                whole = re.sub("_(bucket|sum|count)$", "", name)
                assert types[whole] == "histogram"
            else:
                assert types[name] == ("counter" if name.endswith("_total") else "gauge")
            assert sample not in found, "the collector refuses a file with a series twice"
            float(value)
            found[sample] = value
    return found


def test_every_metric_has_its_type(tmp_path: Path) -> None:
    path = tmp_path / "inspector.prom"
    watched(
        capture(fault(3).flows),
        "--journal",
        str(tmp_path / "j"),
        "--metrics",
        str(path),
        "-w",
        str(tmp_path / "w.pcapng"),
        "--incidents",
        str(tmp_path),
    )
    found = series(path.read_text())
    if promtool := shutil.which("promtool"):
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=path.read_bytes(),
            capture_output=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")
    assert len(found) > 10
    assert found["inspector_incidents_total"] == "3"
    assert "inspector_journal_bytes" in found


def test_names_that_look_the_same_are_series_of_their_own(tmp_path: Path) -> None:
    """A control character, and the text that stands for it."""
    pool, other = Pool(name="a\x01b"), Pool(name="a\\x01b", port=50_000)
    for each in (pool, other):
        each.full(A, numbered(1))
    path = tmp_path / "inspector.prom"
    watched(capture([*pool.flows, *other.flows]), "--no-journal", "--metrics", str(path))
    services = [name for name in series(path.read_text()) if "handshakes" in name]
    assert len(services) == 2
    assert {r'service="a\\x01b:8081"', r'service="a\\\\x01b:8081"'} == {
        name.partition("{")[2].partition(",")[0] for name in services
    }


def test_names_in_metrics_are_escaped() -> None:
    assert escaped(label_value('a"b\\c\nd\x1b[0m')) == r"a\"b\\\\c\\x0ad\\x1b[0m"


def test_different_names_are_different_labels() -> None:
    """Whatever of a character, its escape, and the escape's escape stands side by side; they are read back."""
    pieces = [
        "\x08",
        "\u0890",
        "90",
        "\\",
        "\\x08",
        "\\x0890",
        "\n",
        "\\n",
        '"',
        '\\"',
        "\u2028",
        "\U000e0001",
        "x",
        "0",
    ]
    values = {"".join(several) for count in (1, 2, 3) for several in itertools.product(pieces, repeat=count)}
    labels = {escaped(label_value(value)) for value in values}
    assert len(labels) == len(values)
    for label in labels:
        assert label.isprintable()
        assert not re.search(r'(?<!\\)(\\\\)*"', label), "a quotation mark ends the label"
