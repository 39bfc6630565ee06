"""Settings in TOML: names for back ends, clients and services, theme, keys, columns. A mistake is named with its line
and key.

theme = "nord"
ascii = false
tz = "Europe/Berlin"  # or "local", "UTC"

[names.services]
"puppetdb.example.com:8081" = "PuppetDB, production"

[names.backends]      # by address, or by at least eight digits of the leaf's SHA-256
"10.0.0.11" = "db1"

[names.clients]
"10.0.0.9" = "puppetserver-a"

[keys]                # the name of a key in docs/reference/keys.md = other keys
quit = "ctrl+x"

[columns]
connections = ["time", "backend", "outcome", "kind", "frame"]
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path, user_config_path, user_state_path

from inspector.document import Document
from inspector.errors import UsageError
from inspector.system.plain_file import read_whole
from inspector.text.safe import path_text, safe_text
from inspector.text.zones import UTC, TimeZone, zone_named

KEYS = ("theme", "ascii", "tz", "names", "keys", "columns")
NAMED = ("services", "backends", "clients")
DIGEST = re.compile(r"[0-9a-f]{8,64}")

MOST_BYTES = 256 << 10
LONGEST_LINE = 500
"""Characters. A dotted key of thousands of parts takes their square in memory."""


@dataclass(slots=True)
class Settings:
    """``keys``: binding name to keys. ``columns``: names of the connections table's columns, empty for
    the usual ones. ``zone``: of the times that the app shows.
    """

    path: str = ""
    theme: str = ""
    ascii: bool = False
    services: dict[str, str] = field(default_factory=dict)
    backends: dict[str, str] = field(default_factory=dict)
    clients: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    columns: list[str] = field(default_factory=list)
    text: str = ""
    zone: TimeZone = UTC

    def mistake(self, key: str, problem: str) -> UsageError:
        """An error that names file, line and key."""
        pattern = re.compile(rf"(?:^|[\[.\s\"',])\"?{re.escape(key)}\"?(?:$|[\].\s\"',=])")
        line = next(
            (number for number, line in enumerate(self.text.splitlines(), 1) if pattern.search(line.split("#")[0])), 0
        )
        return UsageError(f"{self.path}{f', line {line}' if line else ''}: {safe_text(key, 60)} {problem}")

    def check(self, section: str, wanted: Collection[str], known: Collection[str]) -> None:
        """Raises UsageError for the first of ``wanted`` that is not known."""
        for name in wanted:
            if name not in known:
                raise self.mistake(
                    name, f"{section}: there is no {safe_text(name, 40)} (there are {', '.join(sorted(known))})"
                )


def default_path() -> Path:
    """Where settings lie when nobody says where; on Linux by the XDG base directory specification."""
    return user_config_path("inspector") / "settings.toml"


def facts_folder() -> Path:
    """Where facts are kept of captures that were opened."""
    return user_cache_path("inspector") / "facts"


def open_flows_folder() -> Path:
    """Where open flows are kept from one run of ``extract`` to the next."""
    return user_state_path("inspector") / "open-flows"


def load(path: str | None = None) -> Settings:
    """Settings from a file, or from the default file if there is a file. Raises UsageError with line and key."""
    file = Path(path) if path else default_path()
    if path is None and not file.is_file():
        return Settings()
    try:
        text = read_whole(file, MOST_BYTES).decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path_text(str(file))}: {getattr(error, 'strerror', None) or 'not UTF-8'}") from None
    return parse(text, path_text(str(file)))


def parse(text: str, path: str) -> Settings:
    """Settings from text. Raises UsageError with line and key."""
    for number, line in enumerate(text.splitlines(), 1):
        if len(line) > LONGEST_LINE:
            raise UsageError(f"{path}, line {number}: longer than {LONGEST_LINE} characters")
    try:
        table = tomllib.loads(text)
    except RecursionError:
        raise UsageError(f"{path}: lists in lists without end") from None
    except ValueError as error:  # also TOMLDecodeError; a number of thousands of digits is none
        raise UsageError(
            f"{path}: {str(error).replace('at end of document', f'at line {len(text.splitlines())}, the end')}"
        ) from None
    settings = Settings(path=path, text=text)
    for key, value in table.items():
        if key == "theme" and isinstance(value, str):
            settings.theme = value
        elif key == "ascii" and isinstance(value, bool):
            settings.ascii = value
        elif key == "tz" and isinstance(value, str):
            settings.zone = _zone(settings, value)
        elif key == "names" and isinstance(value, dict):
            _names(settings, value)
        elif key == "keys" and isinstance(value, dict):
            settings.keys = _strings(settings, value)
        elif key == "columns" and isinstance(value, dict):
            _columns(settings, value)
        elif key in KEYS:
            wanted = {"theme": "a string", "ascii": "true or false", "tz": "a string"}.get(key, "a table")
            raise settings.mistake(key, f"must be {wanted}")
        else:
            raise settings.mistake(key, f"is no setting (there are {', '.join(KEYS)})")
    return settings


def _zone(settings: Settings, name_of_zone: str) -> TimeZone:
    try:
        return zone_named(name_of_zone)
    except UsageError as error:
        raise settings.mistake("tz", str(error)) from None


def _names(settings: Settings, table: dict[str, object]) -> None:
    for kind, names in table.items():
        if kind not in NAMED or not isinstance(names, dict):
            raise settings.mistake(kind, f"names: must be one of the tables {', '.join(NAMED)}")
        setattr(settings, kind, _strings(settings, names))


def _columns(settings: Settings, table: dict[str, object]) -> None:
    for key, value in table.items():
        if key != "connections" or not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise settings.mistake(key, "columns: only connections can be set, to a list of names")
        settings.columns = value


def _strings(settings: Settings, table: dict[str, object]) -> dict[str, str]:
    strings = {key: value for key, value in table.items() if isinstance(value, str) and value}
    for key in table:
        if key not in strings:
            raise settings.mistake(key, "must be a string that is not empty")
    return strings


def name(document: Document, settings: Settings) -> None:
    """Give services, clients and back ends the person's own names."""
    for service in document.services:
        service.named = next(
            (
                n
                for key, n in settings.services.items()
                if key in (f"{service.name}:{service.port}", *(f"{a}:{service.port}" for a in service.addresses))
            ),
            None,
        )
    for client in document.clients:
        client.named = settings.clients.get(client.ip)
    for backend in document.backends:
        for key, given_name in settings.backends.items():
            is_leaf = DIGEST.fullmatch(key) and (backend.leaf or "").startswith(key)
            if is_leaf or key in backend.addresses or key in {a.rpartition(":")[0] for a in backend.addresses}:
                backend.named = given_name
                backend.basis = [*(b for b in backend.basis if b != "named"), "named"]
                break
