"""Pools whose members are all alike but for what is planted in one of them: clients of several stacks reach them at
random, and nobody but the odd one may be called odd.

``python -m tests.odd_pools [COUNT [SEED]]`` records many clean pools and many planted differences (200 each by default)
and prints how often one was named that was none, and how often a planted one was not; ``test_odd_pools.py`` runs some.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from inspector.document import About, Document
from inspector.tls.registry import HELLO_RETRY_RANDOM
from tests.build import (
    CHANGE,
    DATA,
    DONE,
    FINISHED,
    KEY_EXCHANGE,
    MS,
    NAME,
    START_NS,
    Flow,
    certificate,
    certificate_request,
    certificates,
    client_hello,
    document_of,
    extension,
    message,
    numbered,
    record,
    server_hello,
    vector,
    written,
)
from tests.der import common_name

INTERMEDIATE = certificate("Intermediate", issuer="Root", is_authority=True)
ENCRYPTED = -1
"""An alert of which only the length is seen."""

PADDED = -2
"""The same, as JSSE writes it to a socket: 16 bytes longer."""


@dataclass(frozen=True)
class Member:
    """How one server of a pool answers. ``fails``: an alert in answer to the hello, ``closed`` without a byte,
    ``plain`` text; ``rejected_with``: the alert of every client behind its certificate, or ``ENCRYPTED``, ``PADDED``;
    ``refuses``: its alert behind a client's flight. ``wait``: ms before it answers. ``certificate_bytes``:
    of its Certificate in TLS 1.3, which it signs with ECDSA; ``modern_suite``: that of TLS 1.3. ``pads``: encrypted
    records, as JSSE does; ``seen``: so many of them have come when a client rejects them, 0 for all; the others come
    too late.
    """

    leaf: bytes
    behind: tuple[bytes, ...] = (INTERMEDIATE,)
    suite: bytes = b"\xc0\x2b"
    version: int = 0x0304
    ems: bool = True
    alpn: str = "h2"
    authorities: tuple[bytes, ...] = (common_name("Client CA"),)
    staples: bool = True
    issues: bool = True
    wait: float = 0
    retries: bool = False
    fails: int | str = 0
    rejected_with: int = 0
    refuses: int = 0
    certificate_bytes: int = 900
    modern_suite: bytes = b"\x13\x01"
    pads: bool = False
    seen: int = 0


@dataclass(frozen=True)
class Caller:
    """A client. ``versions``: none for TLS 1.2; ``distrusts``: it rejects every server's certificate;
    ``resumes``: with a session of TLS 1.3 that all accept.
    """

    address: str
    java: bool = False
    ems: bool = True
    alpn: str = ""
    versions: tuple[int, ...] = ()
    staples: bool = False
    distrusts: bool = False
    name: str = NAME
    far: float = 0
    resumes: bool = False


@dataclass
class Recording:
    """Connections of callers to members, at random."""

    rng: random.Random
    ns: int = START_NS
    port: int = 20_000
    flows: list[Flow] = field(default_factory=list)

    def call(self, caller: Caller, member: Member) -> None:
        self.port += 1
        self.ns += int(self.rng.expovariate(1 / (20 * MS)))
        far = int((caller.far + self.rng.expovariate(4)) * MS)
        flow = Flow(self.port, self.ns, caller.address)
        self.flows.append(flow)
        flow.add(True, 2, wait=far).add(False, 18).add(True, 16)
        more = [extension(5, b"\1\0\0\0\0")] if caller.staples else []
        random_bytes = numbered(self.port)
        hello = record(
            22,
            client_hello(
                random_bytes,
                name=caller.name,
                java=caller.java,
                ems=caller.ems,
                alpn=caller.alpn,
                versions=caller.versions,
                psk=b"p" * 40 if caller.resumes else None,
                more=more,
            ),
            0x0301,
        )
        flow.client_says(hello, wait=far + int((member.wait + self.rng.expovariate(1)) * MS))
        if member.fails:
            if isinstance(member.fails, int):
                flow.server_says(record(21, bytes([2, member.fails])))
            elif member.fails == "plain":
                flow.server_says(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            flow.close(by_client=False)
        elif 0x0304 in caller.versions and member.version == 0x0304:
            self._tls13(flow, caller, member, hello)
        else:
            self._tls12(flow, caller, member)

    def _tls13(self, flow: Flow, caller: Caller, member: Member, hello: bytes) -> None:
        if member.retries:
            flow.server_says(record(22, server_hello(HELLO_RETRY_RANDOM, version=0x0304)), CHANGE)
            flow.client_says(hello)
        answer = server_hello(
            numbered(self.port + (1 << 20)),
            version=0x0304,
            suite=member.modern_suite,
            psk=0 if caller.resumes else None,
        )
        signature = 94 + random.Random(self.port).choice((0, 1, 1, 2))
        sizes = (27, 53) if caller.resumes else (27, member.certificate_bytes, signature, 53)
        padding = 16 * member.pads
        flight = [record(23, b"e" * (size + padding)) for size in sizes]
        flow.server_says(record(22, answer), CHANGE, *flight[: member.seen or None])
        if member.rejected_with in (ENCRYPTED, PADDED):
            flow.client_says(CHANGE, record(23, b"a" * (19 if member.rejected_with == ENCRYPTED else 35)))
            flow.server_says(*flight[member.seen or len(flight) :]).close()
            return
        if member.rejected_with or caller.distrusts:
            flow.client_says(record(21, bytes([2, member.rejected_with or 48]))).close()
            return
        flow.client_says(CHANGE, record(23, b"f" * 53))
        if member.refuses:
            flow.server_says(record(23, b"a" * (19 + padding))).close(by_client=False)
            return
        flow.client_says(DATA).server_says(DATA).close()

    def _tls12(self, flow: Flow, caller: Caller, member: Member) -> None:
        more = [extension(16, vector(2, vector(1, member.alpn.encode())))] if caller.alpn and member.alpn else []
        more += [extension(5)] if caller.staples and member.staples else []
        session = numbered(self.port + (1 << 22)) if member.issues else b""
        answer = server_hello(
            numbered(self.port + (1 << 20)), session, ems=caller.ems and member.ems, suite=member.suite, more=more
        )
        request = certificate_request(*member.authorities) if member.authorities else b""
        flight = answer + certificates(member.leaf, *member.behind) + message(12, b"s" * 70) + request + DONE
        flow.server_says(record(22, flight))
        if member.rejected_with or caller.distrusts:
            flow.client_says(record(21, bytes([2, member.rejected_with or 48]))).close()
            return
        shown = record(22, certificates(CLIENT_CERTIFICATE)) if request else b""
        flow.client_says(shown, KEY_EXCHANGE, CHANGE, FINISHED)
        if member.refuses:
            flow.server_says(record(21, bytes([2, member.refuses]))).close(by_client=False)
            return
        flow.server_says(CHANGE, FINISHED).client_says(DATA).server_says(DATA).close()


CLIENT_CERTIFICATE = certificate("client.example.com", issuer="Client CA")


def leaf(number: int, names: Sequence[str] = (), days: tuple[int, int] = (-365, 3650)) -> bytes:
    host = f"db{number}.example.com"
    return certificate(host, (host, *names), issuer="Intermediate", days=days)


def pool_of(size: int) -> list[Member]:
    return [Member(leaf(number, (NAME,)), certificate_bytes=900 + number // 4) for number in range(size)]


def callers(rng: random.Random, *, with_stranger: bool = False) -> list[Caller]:
    """Clients of several stacks, near and far; ``with_stranger``: one that trusts no server."""
    everybody = [
        Caller("10.0.0.10", java=True, ems=False),
        Caller("10.0.0.11", alpn="h2", staples=True),
        Caller("10.0.0.12", far=40),
        Caller("10.0.0.13", java=True, versions=(0x0304, 0x0303)),
        Caller("10.0.0.14", alpn="h2", versions=(0x0304, 0x0303), far=120),
    ]
    some = rng.sample(everybody, rng.randint(1, len(everybody)))
    return [*some, Caller("10.0.0.99", distrusts=True)] if with_stranger else some


PLANTED: dict[str, Callable[[Member], Member]] = {
    "validity": lambda m: replace(m, leaf=leaf(77, (NAME,), (-800, -3)), rejected_with=45),
    "names": lambda m: replace(m, leaf=leaf(77), rejected_with=46),
    "chain": lambda m: replace(m, leaf=leaf(77, (NAME,)), behind=(), rejected_with=48),
    "client_authorities": lambda m: replace(m, leaf=leaf(77, (NAME,)), refuses=48),
    "cipher": lambda m: replace(m, leaf=leaf(77, (NAME,)), suite=b"\xc0\x2f"),
    "versions": lambda m: replace(m, fails=70),
    "group": lambda m: replace(m, retries=True),
    "ems": lambda m: replace(m, leaf=leaf(77, (NAME,)), ems=False),
    "alpn": lambda m: replace(m, leaf=leaf(77, (NAME,)), alpn="http/1.1"),
    "stapling": lambda m: replace(m, leaf=leaf(77, (NAME,)), staples=False),
    "latency": lambda m: replace(m, leaf=leaf(77, (NAME,)), wait=80),
    "resumption": lambda m: replace(m, leaf=leaf(77, (NAME,)), issues=False),
    "reachability": lambda m: replace(m, fails="closed"),
    "protocol": lambda m: replace(m, fails="plain"),
    "flight": lambda m: replace(m, certificate_bytes=420, rejected_with=ENCRYPTED),
}


def planted_callers(attribute: str) -> list[Caller]:
    """Clients to whom the attribute shows."""
    if attribute in ("group", "flight"):
        return [Caller("10.0.0.13", versions=(0x0304, 0x0303))]
    return [Caller("10.0.0.11", alpn="h2", staples=True), Caller("10.0.0.12", alpn="h2", staples=True, far=40)]


def clean(seed: int, folder: Path, *, size: int = 0, connections: int = 0) -> Document:
    rng = random.Random(seed)
    recording = Recording(rng)
    members = pool_of(size or rng.randint(2, 20))
    clients = callers(rng, with_stranger=rng.random() < 0.3)
    for _ in range(connections or int(5 * 100 ** rng.random())):
        recording.call(rng.choice(clients), rng.choice(members))
    return document_of(written(folder, recording.flows, f"clean{seed}.pcap"))


def planted(attribute: str, seed: int, folder: Path, *, size: int = 0, at_odd: int = 5) -> tuple[Document, bytes]:
    """``at_odd``: connections that reach the odd member; each of the others is reached as often, at random. With it
    the certificate of the odd member.
    """
    rng = random.Random(seed)
    recording = Recording(rng)
    members = pool_of(size or rng.randint(3, 20))
    odd = rng.randrange(len(members))
    members[odd] = PLANTED[attribute](members[odd])
    clients = planted_callers(attribute)
    turns = [odd] * at_odd + [n for n in range(len(members)) if n != odd for _ in range(at_odd)]
    rng.shuffle(turns)
    for number in turns:
        recording.call(rng.choice(clients), members[number])
    return document_of(written(folder, recording.flows, f"{attribute}{seed}.pcap")), members[odd].leaf


def without_intermediate(folder: Path, size: int = 3) -> Path:
    """A pool of which the second member sends no intermediate, so that every client rejects it."""
    recording = Recording(random.Random(3))
    members = pool_of(size)
    members[1] = replace(members[1], behind=(), rejected_with=48)
    for number in range(8 * size):
        recording.call(Caller("10.0.0.12"), members[number % size])
    return written(folder, recording.flows)


def after_a_change(folder: Path) -> Path:
    """A pool of which the second member has no EMS any more from the middle on, with the same certificate."""
    recording = Recording(random.Random(4))
    members = pool_of(3)
    for number in range(60):
        if number == 30:
            members[1] = replace(members[1], ems=False)
        recording.call(Caller("10.0.0.12"), members[number % 3])
    return written(folder, recording.flows)


def abouts(document: Document) -> list[About]:
    return [finding.about for finding in document.findings if finding.about is not None]


def about(document: Document, attribute: str) -> About:
    (found,) = [each for each in abouts(document) if each.attribute == attribute]
    return found


def recorded(folder: Path, *calls: tuple[Caller, Member]) -> Document:
    recording = Recording(random.Random(0))
    for caller, member in calls:
        recording.call(caller, member)
    return document_of(written(folder, recording.flows))


def is_named(document: Document, attribute: str, leaf_der: bytes) -> bool:
    """Whether the planted difference is told, of the odd member where that is visible, and of no other."""
    from hashlib import sha256

    right = [about for about in abouts(document) if about.attribute == attribute]
    if not right or len(abouts(document)) > len(right):
        return False
    if attribute in ("versions", "group", "reachability", "protocol", "flight"):
        return all(about.backend is None for about in right)
    odd = [backend.id for backend in document.backends if backend.leaf == sha256(leaf_der).hexdigest()]
    return all(about.backend in odd for about in right)


def main() -> int:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    accused: list[tuple[int, str]] = []
    missed: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(seed, seed + count):
            accused += [(number, about.attribute) for about in abouts(clean(number, folder))]
            attribute = list(PLANTED)[number % len(PLANTED)]
            if not is_named(*_swapped(attribute, number, folder)):
                missed[attribute] += 1
                print(f"planted {attribute}, seed {number}: not named")
            for path in folder.iterdir():
                path.unlink()
    print(f"{count} clean pools: {len(accused)} accused {accused[:10]}; {count} planted: {missed.total()} not named")
    return 1 if accused or missed else 0


def _swapped(attribute: str, seed: int, folder: Path) -> tuple[Document, str, bytes]:
    document, odd = planted(attribute, seed, folder)
    return document, attribute, odd


if __name__ == "__main__":
    sys.exit(main())
