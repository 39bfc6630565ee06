"""The dashboard and the alerting rules ask for metrics that there are; Prometheus' own tool takes them, and they fire
when they should.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from inspector import analyze
from inspector.live.live_capture import LiveCapture
from inspector.live.outputs.handshake_counts import HandshakeCounts
from inspector.live.outputs.metrics import text
from tests.conftest import find
from tests.live import bytes_of, listened, watched

MONITORING = Path(__file__).parent.parent / "docs" / "monitoring"
RULES, DASHBOARD = MONITORING / "alerts.yml", MONITORING / "dashboard.json"
SAMPLE = re.compile(r"^(inspector_\w+)(?:\{(.*)\})? (\S+)$", re.MULTILINE)


def promtool(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("there is no promtool")
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def exprs() -> list[str]:
    panels = json.loads(DASHBOARD.read_text())["panels"]
    return [target["expr"] for panel in panels for target in panel["targets"]]


def known(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The metrics that there are where an interface is captured."""
    monkeypatch.setattr(LiveCapture, "dropped", 0)
    live, _ = listened(bytes_of(find("puppet-session-ids")))
    written = text(live, HandshakeCounts(has_members=True))
    return {line.split()[2] for line in written.splitlines() if line.startswith("# TYPE")}


def test_what_is_asked_for_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    names = known(monkeypatch)
    asked = re.findall(r"inspector_\w+", RULES.read_text() + "\n".join(exprs()))
    assert len(set(asked)) > 7
    for name in asked:
        assert re.sub("_bucket$", "", name) in names, name


def test_prometheus_takes_the_rules() -> None:
    checked = promtool("check", "rules", RULES)
    assert checked.returncode == 0, checked.stderr
    assert "SUCCESS: 6 rules found" in checked.stdout


def test_prometheus_takes_what_the_dashboard_asks(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__\w+", "5m", expr).replace("$instance", ".*")}
        for number, expr in enumerate(exprs())
    ]
    path = tmp_path / "rules.yml"
    path.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    checked = promtool("check", "rules", path)
    assert checked.returncode == 0, checked.stderr


SERIES = 'service="db:8081",backend="B"'
FIRING = {
    "ServerCertificateChanged": ("inspector_incidents_total", "0x10 1x20", "0x30"),
    "PacketsDropped": ("inspector_drops_total", "0x10 5x20", "7x30"),
    "CertificateExpires": (
        f"inspector_certificate_not_after_timestamp_seconds{{{SERIES}}}",
        f"{13 * 86400}x30",
        f"{15 * 86400}x30",
    ),
}


@pytest.mark.parametrize("alert", FIRING)
def test_alerts_fire(alert: str, tmp_path: Path) -> None:
    """Where they should, and not otherwise."""
    series, wrong, right = FIRING[alert]
    for values, count in ((wrong, 1), (right, 0)):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', series))
        severity = "info" if alert == "PacketsDropped" else "warning"
        expected: list[dict[str, Any]] = [{"exp_labels": {"severity": severity, **labels}}] * count
        case = {
            "interval": "1m",
            "input_series": [{"series": series, "values": values}],
            "alert_rule_test": [{"eval_time": "15m", "alertname": alert, "exp_alerts": expected}],
        }
        path = tmp_path / "test.yml"
        path.write_text(json.dumps({"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case]}))
        checked = promtool("test", "rules", path)
        if count:  # its words are compared too: that it fires is told with what they are
            assert "exp:[" in checked.stdout + checked.stderr
            assert f'alertname="{alert}"' in (checked.stdout + checked.stderr).partition("got:")[2]
        else:
            assert checked.returncode == 0, checked.stderr


def test_back_ends_are_counted_as_the_analysis_has_them(tmp_path: Path) -> None:
    """Declined sessions, answers and certificates of each back end."""
    path = tmp_path / "m.prom"
    watched(bytes_of(find("puppet-session-ids")), "--no-journal", "--metrics", str(path))
    counted: dict[tuple[str, str], float] = {}
    for name, labels, value in SAMPLE.findall(path.read_text()):
        label_of = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        if "le" not in label_of:
            key = name, label_of.get("backend", "")
            counted[key] = counted.get(key, 0) + float(value)
    document = analyze(find("puppet-session-ids"))
    assert len(document.backends) == 3
    for backend in document.backends:
        own = [c for c in document.connections if c.backend == backend.id]
        assert own
        declined = sum(c.handshakes[0].declined is True for c in own)
        assert counted["inspector_declined_sessions_total", backend.label] == declined
        assert counted["inspector_handshakes_total", backend.label] == len(own)
        failed = sum(c.outcome != "established" for c in own)
        assert counted["inspector_failed_handshakes_total", backend.label] == failed
        assert counted["inspector_answer_seconds_count", backend.label] == len(own)
