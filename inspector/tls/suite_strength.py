"""How strong a cipher suite is in the two things that RFC 9325, sections 4.1 and 4.2, asks of every suite."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import NamedTuple

from inspector.tls.cipher_suites import CIPHER_SUITES
from inspector.tls.protection import protection_of

_EPHEMERAL = ("TLS_ECDHE_", "TLS_DHE_")


class SuiteStrength(NamedTuple):
    """``has_forward_secrecy``: the key of the certificate does not open what was recorded. ``is_aead``: records are
    encrypted and authenticated in one.
    """

    has_forward_secrecy: bool
    is_aead: bool


def differ_in_strength(suites: Iterable[int]) -> bool:
    """Whether one of some cipher suites is weaker than another."""
    return len({strength_of(suite) for suite in suites} - {None}) > 1


@lru_cache(maxsize=1024)
def strength_of(suite: int) -> SuiteStrength | None:
    """The strength of a cipher suite by its number; None where it is not known."""
    protection = protection_of(suite)
    if protection is None:
        return None
    name = CIPHER_SUITES[suite]
    return SuiteStrength(
        "_WITH_" not in name or name.startswith(_EPHEMERAL), protection.mode in ("gcm", "ccm", "chacha20")
    )
