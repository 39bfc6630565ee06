from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from inspector.document import Document
from inspector.findings.judge import Analysis, judge
from tests.build import Pool, document_of, facts_of, written
from tests.pools import Issued, LoopbackPool, issued, loopback_pool

CAPTURES = Path(__file__).parent.parent / "captures"

settings.register_profile("here", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("here")
"""Nothing is held against the clock of a machine that others use too; and who changes one thing is not stopped by what
chance finds in another: that is for ``make fuzz``.
"""

for _number, _default in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _default)
"""Who runs the tests in the background may ignore these, and commands that tests start would ignore them too."""

QUICK = {
    *(
        "test_house",
        "test_layers",
        "test_golden",
        "test_segmentation",
        "test_rules",
        "test_rules_of_change",
        "test_jsse",
        "test_reasons",
        "test_assessment",
        "test_certificate_verdicts",
        "test_causes",
        "test_odd_pools",
    ),
    *(
        "test_tls",
        "test_messages",
        "test_redaction_messages",
        "test_redaction_protocols",
        "test_preambles",
        "test_kinds",
        "test_losses",
        "test_lost_ends",
        "test_closing",
        "test_capture_files",
        "test_stamps",
        "test_encoded",
        "test_logs",
        "test_settings",
    ),
}
"""The modules that ``make quick`` runs: types, style, parsers, rules, segmentation, goldens. Whoever changes a line
runs them each time.
"""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden", action="store_true", help="write the golden analyses anew; then read the difference"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.stem in QUICK:
            item.add_marker(pytest.mark.quick)


def find(name: str) -> Path:
    """A bundled capture by its short name."""
    return next(p for p in CAPTURES.glob(f"{name}.pcap*"))


@lru_cache(maxsize=64)
def bundled(name: str) -> Analysis:
    """The analysis of a bundled capture, made once."""
    analysis = judge(facts_of(find(name)))
    analysis.complete()
    return analysis


@pytest.fixture(autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings and no past but the test's own, and no certificate of Puppet's; Unicode whatever the locale; no
    cursor that blinks; mistakes of the program are loud.
    """
    from textual.widgets import Input

    from inspector.errors.internal import Border
    from inspector.live.host import puppet_certificate
    from inspector.tui import output_filter as door
    from tests.settling import settled

    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    monkeypatch.setenv("XDG_STATE_HOME", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    monkeypatch.setattr(puppet_certificate, "ROOT", str(folder))
    monkeypatch.setattr(Border, "is_loud", True)
    monkeypatch.delenv("TMUX", raising=False)
    monkeypatch.setattr(door, "ascii_wanted", lambda asked: asked)
    monkeypatch.setattr(Input, "_toggle_cursor", lambda self: None)
    monkeypatch.setattr("textual.app.wait_for_idle", settled)
    monkeypatch.setattr("textual.pilot.wait_for_idle", settled)


@pytest.fixture
def judged(tmp_path: Path) -> Callable[[Pool], Document]:
    """The document of a built pool's connections."""
    return lambda pool: document_of(written(tmp_path, pool.flows))


@pytest.fixture
def pool() -> Iterator[LoopbackPool]:
    """Servers on loopback behind a balancer."""
    with loopback_pool() as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[Issued]:
    """Of three servers."""
    folder = tmp_path_factory.mktemp("certificates")
    return [issued(folder, f"db{number}.example.com") for number in (1, 2, 3)]
