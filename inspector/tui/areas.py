"""The areas of the app, in the order of their keys: one table, from which the app, the line of areas and the command
line take them. Imports nothing, for ``--help`` needs the names.
"""

from __future__ import annotations

AREAS = {
    "services": "ServicesScreen",
    "overview": "OverviewScreen",
    "connections": "ConnectionsScreen",
    "sessions": "SessionsScreen",
    "certificates": "CertificatesScreen",
    "incidents": "IncidentsScreen",
}
"""By name: its screen, a class in the file of the area's name. The first has key 1."""
