"""Settings: what they change, and mistakes that are named with line and key; the options that open a view."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from inspector import settings
from inspector.errors import UsageError
from inspector.findings.judge import judge
from inspector.live.host.places import at_home_of, home_of, journal_path
from inspector.live.host.privileges import Account
from inspector.reports import overview
from inspector.reports.lines import plain
from inspector.tui.app import InspectorApp
from inspector.tui.app_state import View
from tests.app import app_of, loaded, shown
from tests.build import facts_of
from tests.conftest import CAPTURES, bundled, find
from tests.waiting import COMMAND_SECONDS

TEXT = """
theme = "nord"
ascii = true

[names.services]
"puppetdb.example.com:8081" = "PuppetDB, production"

[names.backends]
"{leaf}" = "db-one"

[names.clients]
"127.0.0.1" = "puppetserver-a"

[keys]
quit = "ctrl+x"

[columns]
connections = ["time", "rtt", "backend"]
"""


def text() -> str:
    backend = bundled("puppet-session-ids").document.backends[0]
    return TEXT.replace("{leaf}", (backend.leaf or "")[:12])


def test_names_reach_every_report() -> None:
    analysis = judge(facts_of(find("puppet-session-ids")))
    settings.name(analysis.document, settings.parse(text(), "s"))
    document = analysis.document
    service = document.services[0]
    assert overview.title(service) == "PuppetDB, production"
    assert "puppetserver-a" in overview.clients(document, service)
    assert any("db-one" in plain(line) for line in overview.pool(document, service))
    assert document.backends[0].named == "db-one"
    assert "named" in document.backends[0].basis


async def test_settings_reach_the_app() -> None:
    app = app_of(
        find("puppet-session-ids"),
        settings=settings.parse(text(), "s"),
        view=View("connections", "outcome:aborted", "-rtt"),
    )
    async with app.run_test(size=(100, 24)) as pilot:
        await loaded(pilot)
        assert app.theme == "nord"
        screen = shown(app)
        assert "PuppetDB, production" in screen
        assert "rtt ms" in screen
        assert screen.isascii()
        rtts = [app.state.now.case.observed[i].client_leg.rtt or 0 for i in app.state.indexes()]
        assert len(rtts) == 23
        assert rtts == sorted(rtts, reverse=True)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("theme = 1", "s, line 1: theme must be a string"),
        ("\n\nthene = 'x'", "s, line 3: thene is no setting"),
        ("[names]\nservers = {a='b'}", "s, line 2: servers names: must be one of"),
        ("[names.clients]\n'10.0.0.1' = 3", "s, line 2: 10.0.0.1 must be a string"),
        ("[columns]\nsessions = []", "s, line 2: sessions columns: only connections"),
        ("theme = ", "line 1"),
        ("keys = 3", "s, line 1: keys must be a table"),
    ],
)
def test_mistakes_are_named_with_line_and_key(written: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings.parse(written, "s")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("\ntheme = 'nosuch'", "s, line 2: theme there is no theme nosuch"),
        ("[keys]\nquit = 'x'\nflie = 'y'", "s, line 3: flie keys: there is no flie"),
        ("[columns]\nconnections = ['time',\n 'colour']", "s, line 3: colour columns: there is no colour"),
    ],
)
def test_names_that_do_not_exist(written: str, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        app_of(find("silent-abort"), settings=settings.parse(written, "s"))
    assert said in str(caught.value)


def test_sort_on_the_command_line_is_checked() -> None:
    with pytest.raises(UsageError, match="no such column"):
        app_of(find("silent-abort"), view=View(sort="-colour"))


def test_no_settings_is_fine_and_a_missing_file_is_named(tmp_path: Path) -> None:
    assert settings.load() == settings.Settings()
    with pytest.raises(UsageError, match="No such file"):
        settings.load(str(tmp_path / "none.toml"))
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(UsageError, match="not UTF-8"):
        settings.load(str(tmp_path / "binary.toml"))


@given(st.text(max_size=80))
def test_any_text_gives_settings_or_a_named_error(written: str) -> None:
    try:
        settings.parse(written, "s")
    except UsageError as error:
        assert str(error).startswith("s")


async def test_a_theme_of_high_contrast_is_there() -> None:
    app = InspectorApp(
        [str(find("silent-abort"))],
        bundled("silent-abort").case.options,
        settings=settings.Settings(theme="high-contrast"),
    )
    async with app.run_test(size=(80, 24)) as pilot:
        await loaded(pilot)
        assert app.theme == "high-contrast"


PLACES = """
from inspector import settings
from inspector.live.host.places import journal_path
from inspector.redaction import keys
from inspector.tui import recent
for path in (settings.default_path(), keys.default_path(), recent.recent_path(), journal_path()):
    print(path)
"""
NAMES = ("settings.toml", "redaction.key", "filters", "journal.sqlite")
XDG = {name: f"/x/{name}" for name in ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME")}


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have other rules")
@pytest.mark.parametrize(
    ("environment", "config", "state", "journal"),
    [
        pytest.param({"HOME": "/h"}, "/h/.config", "/h/.local/state", "", id="home"),
        pytest.param({"HOME": "/h", **XDG}, "/x/XDG_CONFIG_HOME", "/x/XDG_STATE_HOME", "", id="XDG"),
        pytest.param(
            {"HOME": "/h", "XDG_CONFIG_HOME": "", "XDG_STATE_HOME": ""}, "/h/.config", "/h/.local/state", "", id="empty"
        ),
        pytest.param(XDG, "/x/XDG_CONFIG_HOME", "/x/XDG_STATE_HOME", "", id="XDG without a home"),
        pytest.param({}, "~/.config", "~/.local/state", "", id="without a home, by the list of users"),
        pytest.param(
            {"HOME": "/h", "STATE_DIRECTORY": "/var/lib/a:/var/lib/b"},
            "/h/.config",
            "/h/.local/state",
            "/var/lib/a",
            id="a service of systemd",
        ),
    ],
)
def test_where_things_are_kept(environment: dict[str, str], config: str, state: str, journal: str) -> None:
    """Also for root, who has no other rules."""
    home = pwd.getpwuid(os.getuid()).pw_dir
    done = subprocess.run(
        [sys.executable, "-c", PLACES],
        env={"PYTHONPATH": str(CAPTURES.parent), **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
    )
    folders = [f"{folder.replace('~', home)}/inspector" for folder in (config, config, state, state)]
    folders[3] = journal or folders[3]
    assert done.stdout.split() == [f"{folder}/{name}" for folder, name in zip(folders, NAMES, strict=True)]


def run_at(home: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {n: v for n, v in os.environ.items() if n != "HOME" and not n.startswith("XDG_")}
    environment |= {"PYTHONPATH": str(CAPTURES.parent), **({"HOME": home} if home is not None else {})}
    return subprocess.run(
        [sys.executable, "-m", "inspector", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=COMMAND_SECONDS,
    )


def test_a_home_that_cannot_be_written(tmp_path: Path) -> None:
    """The redaction key is missed by name; an analysis needs none of it."""
    (tmp_path / "home").write_text("")  # no directory: not even root can write below it
    home = str(tmp_path / "home")
    assert run_at(home, "analyze", str(find("shared-certificate"))).returncode == 0
    done = run_at(home, "report", "--redact", "-o", str(tmp_path / "report"), str(find("silent-abort")))
    assert done.returncode == 2
    assert "home/.config/inspector" in done.stderr
    assert "--redact-key FILE keeps it elsewhere" in done.stderr


@pytest.mark.parametrize("home", [None, "", "not/absolute"])
def test_without_a_home(home: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is looked for, or made, below where the program was started."""
    monkeypatch.chdir(tmp_path)
    assert run_at(home, "analyze", str(find("shared-certificate"))).returncode == 0
    assert not list(tmp_path.iterdir())


def test_an_account_without_a_home() -> None:
    assert home_of(os.getuid()) == pwd.getpwuid(os.getuid()).pw_dir
    assert home_of(2_000_000_000) == "/"


def test_at_home_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in XDG.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    before = dict(os.environ)
    with at_home_of(Account("stranger", 2_000_000_000, 2_000_000_000)):
        assert os.environ["HOME"] == "/"
        assert os.environ["USER"] == "stranger"
        assert journal_path() == "/.local/state/inspector/journal.sqlite"
    assert dict(os.environ) == before
    assert journal_path() == "/x/XDG_STATE_HOME/inspector/journal.sqlite"
