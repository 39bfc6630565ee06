"""Whose home it is, and where a capture keeps its journal when nobody says where."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from platformdirs import user_state_path

from inspector.live.host.privileges import Account, denied, existing

NAME = "journal.sqlite"
SYSTEM = "/var/lib/inspector"
"""Where the journal of a user without a home lies (FHS 3.0, 5.8)."""

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


def journal_path_of(who: Account, system: str = SYSTEM, *, makes: bool = True) -> str:
    """Where a user keeps a journal, as root finds out before it becomes them: where ``journal_path`` says, or if they
    may not write there, in a directory of the system's, which ``makes`` for them where there is none; ``""`` where they
    may write to neither.
    """
    with at_home_of(who):
        home_path = journal_path()
    writing = os.W_OK | os.X_OK
    if not denied(who, [existing(home_path)], writing):
        return home_path
    system_path = str(Path(system) / NAME)
    try:
        if not makes and not os.path.lexists(system):
            return system_path if os.access(os.path.dirname(system), writing) else ""
        os.mkdir(system, 0o700)
        os.chown(system, who.uid, who.gid, follow_symlinks=False)
    except FileExistsError:
        pass
    except OSError:
        return ""
    return "" if denied(who, [system], writing) else system_path
