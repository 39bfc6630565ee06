"""Whose home it is, and where a capture keeps its journal when nobody says where."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_state_path

from inspector.live.host.privileges import Account

NAME = "journal.sqlite"
XDG = ("XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME", "XDG_RUNTIME_DIR")


def journal_path() -> str:
    """In the state directory that systemd gives a service (systemd.exec(5)), else in the user's own."""
    service = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
    return str((Path(service) if service else user_state_path("inspector")) / NAME)


def home_of(uid: int) -> str:
    """The home directory of an account; ``/`` where it has none, as in a container."""
    try:
        return pwd.getpwuid(uid).pw_dir
    except KeyError:
        return "/"


def settle_at_home(who: Account) -> None:
    """What is looked up by HOME is theirs from now on, not root's."""
    os.environ.update(HOME=home_of(who.uid), USER=who.name, LOGNAME=who.name)
    for name in XDG:
        os.environ.pop(name, None)


@contextmanager
def at_home_of(who: Account) -> Iterator[None]:
    """The same for a while."""
    before = dict(os.environ)
    settle_at_home(who)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
