"""The areas of the app, in the order of their keys: one table, from which the app, the line of areas and the command
line take them. Imports no Textual, for ``--help`` needs the names.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from inspector.tui.page import Area

AREAS = {
    "services": "ServicesScreen",
    "overview": "OverviewScreen",
    "connections": "ConnectionsScreen",
    "sessions": "SessionsScreen",
    "certificates": "CertificatesScreen",
    "incidents": "IncidentsScreen",
}
"""By name: its screen, a class in the file of the area's name. The first has key 1."""


def screen_class(area: str) -> type[Area]:
    """The screen of an area, imported now."""
    return cast("type[Area]", getattr(import_module(f"inspector.tui.{area}"), AREAS[area]))
