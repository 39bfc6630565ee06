"""What is known of the client's machine from elsewhere than the wire: its addresses, and how its JVM was started. Turns
"not visible" into "observed".
"""

from __future__ import annotations

from typing import NamedTuple

ALLOW_UNSAFE = "jdk.tls.allowUnsafeServerCertChange"
USE_EMS = "jdk.tls.useExtendedMasterSecret"


class Machine(NamedTuple):
    """``addresses``: as text. ``process``: of the JVM. ``jdk``: its version, "" where it could not be read.
    ``properties``: of its ``-D`` options, those that bear on TLS.
    """

    addresses: frozenset[str]
    process: int
    jdk: str
    properties: tuple[tuple[str, str], ...]

    def value(self, name: str) -> str | None:
        """A property's value, None where it was not given on the command line."""
        return dict(self.properties).get(name)

    @property
    def allows_change(self) -> bool:
        """Whether the JVM was told to take any certificate on a full handshake."""
        return (self.value(ALLOW_UNSAFE) or "").lower() == "true"

    @property
    def has_ems_off(self) -> bool:
        """Whether the JVM was told not to do extended master secret (EMS)."""
        return (self.value(USE_EMS) or "").lower() == "false"
