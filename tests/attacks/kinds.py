"""All attacks, by the kind."""

from __future__ import annotations

from itertools import groupby

from tests.attacks import (
    bombs,
    certificates,
    findings,
    flights,
    floods,
    fragments,
    hellos,
    journals,
    logs,
    names,
    secrets,
    sections,
    sessions,
)
from tests.attacks.attack import Attack

ATTACKS: tuple[Attack, ...] = (
    *certificates.ATTACKS,
    *sessions.ATTACKS,
    *hellos.ATTACKS,
    *fragments.ATTACKS,
    *sections.ATTACKS,
    *secrets.ATTACKS,
    *bombs.ATTACKS,
    *names.ATTACKS,
    *logs.ATTACKS,
    *floods.ATTACKS,
    *flights.ATTACKS,
    *findings.ATTACKS,
    *journals.ATTACKS,
)
BY_KIND = {kind: list(some) for kind, some in groupby(ATTACKS, lambda attack: attack.kind)}
"""In their order."""
