"""The command that would probe a service, as one would type it: told from the connections that were captured."""

from __future__ import annotations

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence

from inspector.document import Service
from inspector.errors import UsageError
from inspector.findings.case import Case
from inspector.reports.overview import title
from inspector.text.hostport import joined
from inspector.tls.extension_types import ExtensionType
from inspector.tls.extensions import HelloShape
from inspector.tls.preamble import PROXY_HEADERS
from inspector.tls.types import ProtocolVersion
from inspector.tracking.observed import Observed
from inspector.tracking.tallies import Tally, tallied

HOST_NAME = re.compile(r"[a-z0-9_]([a-z0-9_.-]{0,252}[a-z0-9_])?")
"""What may stand in a command: the name is from the wire."""

STARTTLS_PORTS = {389: "ldap", 3268: "ldap", 5432: "postgres"}
"""Where the protocols are spoken that a probe can begin TLS in."""

LATEST = 50
"""So many connections of a service tell what stands before its hellos."""

LEAST_SHARE = 0.1
"""Of the connections of Java, below which a kind of JVM is not asked for: several share those of a probe."""


def probe_command(case: Case, index: int, service: Service) -> str:
    """``index``: the service's place among the case's. Raises UsageError where a probe could not ask it."""
    members = case.services[index].connections
    name = service.name if HOST_NAME.fullmatch(service.name) and service.name not in service.addresses else ""
    host = name if len(service.addresses) > 1 and name else service.addresses[0]
    words = ["inspector", "probe", joined(host, service.port)]
    if name and host != name:
        words += ["--sni", name]
    words += _before_tls([case.observed[i] for i in members[-LATEST:]], service)
    models = _models(service, tallied(case.columns, members))
    if models:
        words += ["--as", ",".join(models)]
    return shlex.join([*words, "-w", _free_path(name or host, service.port)])


def _before_tls(members: Iterable[Observed], service: Service) -> Sequence[str]:
    """What has to be said before TLS, as options."""
    preambles = {member.client_leg.preamble for member in members if member.offer is not None}
    if not preambles or "" in preambles:
        return ()
    if preambles <= PROXY_HEADERS:
        return ("--proxy-protocol",)
    protocol = STARTTLS_PORTS.get(service.port) if preambles == {"starttls"} else None
    if protocol is None:
        raise UsageError(f"{title(service)}: TLS begins there inside another protocol, which a probe does not speak")
    return ("--starttls", protocol)


def _models(service: Service, tallies: Iterable[Tally]) -> Sequence[str]:
    """As which JVMs to ask: as a probe did, else as the Java clients of a service; those that ask most come first."""
    if service.probed is not None:
        return [met.model for met in service.probed.models if met.model]
    asking: Counter[str] = Counter()
    for tally in tallies:
        offer = tally.shape.offer
        if offer is not None and not offer.partial and tally.shape.traits.stack.name == "jsse":
            asking[_model(offer)] += tally.count
    return [model for model, count in asking.most_common() if count >= LEAST_SHARE * asking.total()]


def _model(offer: HelloShape) -> str:
    """What a probe calls a JVM that offers this."""
    if ProtocolVersion.TLS_1_3 in offer.versions:
        has_tickets = ExtensionType.SESSION_TICKET in offer.extensions or ProtocolVersion.TLS_1_2 not in offer.versions
        return "java17" if has_tickets else "java11"
    if offer.extended_master_secret:
        return "java8"
    newest = max(offer.versions, default=offer.legacy_version)
    return "java8-no-ems" if newest >= ProtocolVersion.TLS_1_2 else "java7"


def _free_path(name: str, port: int) -> str:
    """Where the capture of the probe may stand: here, else in the user's home."""
    folder = "" if os.access(".", os.W_OK | os.X_OK) else os.path.expanduser("~")
    stem = os.path.join(folder, f"probe-{name.replace(':', '_')}-{port}")
    further = 1
    path = f"{stem}.pcapng"
    while os.path.lexists(path):
        further += 1
        path = f"{stem}-{further}.pcapng"
    return path
