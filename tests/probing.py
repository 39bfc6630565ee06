"""Probes that run in this process, and their captures read by the engine."""

from __future__ import annotations

import contextlib
import ssl
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

from inspector.document import Document, Probed, Service
from inspector.probe.client_model import MODELS, Credentials
from inspector.probe.conversation import probings_of
from inspector.probe.destination import Destination
from inspector.probe.plan import ProbePlan
from inspector.probe.running import ProbeRun
from inspector.probe.synthetic_capture import write_capture
from inspector.probe.transcript import ProbeEnd
from tests.build import document_of
from tests.pools import HOST, Issued, LoopbackPool, server_context, tls
from tests.waiting import PATIENCE_SECONDS

TLS12 = ssl.TLSVersion.TLSv1_2
NO_CREDENTIALS = Credentials()
WITH_TICKETS = {name: model._replace(has_tickets=True) for name, model in MODELS.items()}
"""Python's servers resume up to TLS 1.2 by tickets alone."""
PLAN = ProbePlan(
    "db.example.com", (), (MODELS["java17"],), connections=12, per_second=1000, at_once=1, seconds=PATIENCE_SECONDS
)


def back_ends(pool: LoopbackPool, certificates: list[Issued], newest: ssl.TLSVersion = TLS12) -> list[int]:
    return [pool.server(tls(server_context(certificate, newest))) for certificate in certificates]


def to(*ports: int, is_direct: bool = False) -> tuple[Destination, ...]:
    return tuple(Destination(HOST, port, is_direct=is_direct) for port in ports)


def probe(folder: Path, plan: ProbePlan, credentials: Credentials = NO_CREDENTIALS) -> tuple[ProbeRun, Path]:
    """A probe that ran, and its capture."""
    keys = folder / "keys"
    run = ProbeRun(probings_of(plan, credentials, str(keys)))
    run.run()
    path = folder / "probe.pcapng"
    with path.open("wb") as out:
        write_capture(run.transcripts, keys.read_bytes(), out)
    return run, path


def asked(folder: Path, plan: ProbePlan, credentials: Credentials = NO_CREDENTIALS) -> tuple[ProbeRun, Document]:
    run, path = probe(folder, plan, credentials)
    return run, document_of(path)


def ends(run: ProbeRun) -> set[ProbeEnd]:
    return {transcript.end for transcript in run.transcripts}


def only(document: Document) -> Service:
    [service] = document.services
    assert service.probed is not None
    return service


def probed_in(document: Document) -> Probed:
    probed = only(document).probed
    assert probed is not None
    return probed


@contextlib.contextmanager
def openssl_servers(certificates: Sequence[Issued]) -> Iterator[list[int]]:
    """``openssl s_server``, one for each certificate, which keep sessions by their ids; their ports."""
    with contextlib.ExitStack() as stack:
        ports = []
        for certificate in certificates:
            words = ["openssl", "s_server", "-accept", f"{HOST}:0", "-cert", str(certificate.path), "-tls1_2", "-www"]
            process = stack.enter_context(subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL))
            stack.callback(process.kill)
            assert process.stdout is not None
            accepting = next(line for line in process.stdout if line.startswith(b"ACCEPT"))
            ports.append(int(accepting.rpartition(b":")[2]))
        yield ports
