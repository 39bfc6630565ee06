"""Does any stage grow with the square of something? ``python -m tests.bench_shapes [SHAPE…]``. Figures, not a test:
speed depends on the machine.

Each shape is a story with very many of one thing. It is judged, whole, in a process of its own, with a quarter of them
and with all: four times as many may take about four times as long (``growth``), and memory is said per thing. Exit
status 1 where a growth is above ``MOST_GROWTH``.
"""

from __future__ import annotations

import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from inspector.facts import ConnectionFacts, Facts, OtherFlow, PackedEndpoint, pack_events, unpack_events
from inspector.findings.judge import judge
from inspector.tls.extensions import HelloShape
from tests.build import SYN, Flow, Pool, certificate, ethernet, facts_of, numbered, pcap, written

MOST_GROWTH = 7.0
A, B = certificate("a", ("a.example.com",)), certificate("b", ("b.example.com",))
LATER = 1_000_000_000


def seeds(build: Callable[[Pool], object]) -> Facts:
    """The facts of a few built connections."""
    pool = Pool()
    build(pool)
    with tempfile.TemporaryDirectory() as folder:
        return facts_of(written(Path(folder), pool.flows))


def moved(seed: ConnectionFacts, number: int, **changes: Any) -> ConnectionFacts:
    """A copy of a connection with randoms, ids and times of its own. Handshake fields that ``changes`` names are taken
    from there.
    """
    mark, later = struct.pack(">I", number + 1), number * LATER
    h = seed.handshake
    own = {
        name: mark + value[4:]
        for name in ("client_random", "server_random", "offered_id", "answered_id")
        if (value := getattr(h, name))
    }
    inner = {name: changes.pop(name) for name in list(changes) if name in h.__struct_fields__}
    handshake = replace(
        h, **{**own, **inner}, hello_ns=h.hello_ns + later, answer_ns=h.answer_ns and h.answer_ns + later
    )
    events = pack_events([replace(e, ns=e.ns + later) for e in unpack_events(seed.events)])
    return replace(
        seed,
        handshake=handshake,
        events=events,
        first_ns=seed.first_ns + later,
        last_ns=seed.last_ns + later,
        **changes,
    )


def named(shape: HelloShape | None, name: bytes) -> HelloShape:
    """A hello that asks for a name."""
    assert shape is not None
    return shape._replace(server_name=name, key=shape.key[:8] + name)


def address(number: int) -> bytes:
    return struct.pack(">I", (10 << 24) + number + 256)


def another(der: bytes, number: int) -> bytes:
    """A certificate with another common name and DNS name of the same length; its signature no longer fits."""
    return der.replace(b"leaf-000000", b"leaf-%06d" % number)


def copies(
    build: Callable[[Pool], object], count: int, change: Callable[[Facts, ConnectionFacts, int], dict[str, Any]]
) -> Facts:
    original = seeds(build)
    first = [original.unpack(packed) for packed in original.connections]
    whole = Facts(captures=original.captures, certificates=dict(original.certificates))
    for number in range(count):
        for seed in first:
            whole.add(moved(seed, number, **change(whole, seed, number)))
    return whole


def services(count: int) -> Facts:
    """Names behind one address, each with an abort's story."""
    return copies(aborted, count, lambda whole, seed, n: {"offer": named(seed.handshake.offer, b"s%d.example.com" % n)})


def servers(count: int) -> Facts:
    """Addresses of one name."""
    return copies(
        lambda pool: pool.full(A, numbered(1)),
        count,
        lambda whole, seed, n: {"server": PackedEndpoint(address(n), 8081)},
    )


def lonely_servers(count: int) -> Facts:
    """Addresses without a name: as many services."""

    def change(whole: Facts, seed: ConnectionFacts, n: int) -> dict[str, Any]:
        offer = seed.handshake.offer
        assert offer is not None
        whole.other_flows[OtherFlow(PackedEndpoint(address(n), 8081))] = 1
        return {
            "server": PackedEndpoint(address(n), 8081),
            "offer": offer._replace(server_name=None, key=offer.key[:8] + b"none"),
        }

    return copies(lambda pool: pool.full(A, numbered(1)), count, change)


def leaves(count: int) -> Facts:
    """Certificates of one service, each shown twice."""
    der = certificate("leaf-000000", ("leaf-000000.example.com",))

    def change(whole: Facts, seed: ConnectionFacts, n: int) -> dict[str, Any]:
        import hashlib

        own = another(der, n)
        digest = hashlib.sha256(own).digest()
        whole.certificates[digest] = own
        return {"chain": (digest,)}

    def build(pool: Pool) -> None:
        pool.full(der, numbered(1))
        pool.full(der, numbered(2))

    return copies(build, count, change)


def aborted(pool: Pool) -> None:
    pool.full(A, numbered(1))
    pool.resumed(numbered(1))
    pool.given_up(B, numbered(2), numbered(1))


def aborts(count: int) -> Facts:
    """Aborts, each a finding and an incident."""
    return copies(aborted, count, lambda whole, seed, n: {})


def failures(count: int) -> Facts:
    """Clients of one service, each of which fails: as many findings."""
    return copies(
        lambda pool: pool.server_alert(40), count, lambda whole, seed, n: {"client": PackedEndpoint(address(n), 40_000)}
    )


def clients(count: int) -> Facts:
    """Clients of one service that all succeed."""
    return copies(
        lambda pool: pool.full(A, numbered(1)),
        count,
        lambda whole, seed, n: {"client": PackedEndpoint(address(n), 40_000)},
    )


def legs(count: int) -> Facts:
    """Connections of one client random: replays."""
    return copies(
        lambda pool: pool.full(A, numbered(1)),
        count,
        lambda whole, seed, n: {"client_random": numbered(7), "server_random": numbered(8 + n)},
    )


def syns(count: int) -> Facts:
    """Flows of one SYN each, read from a capture."""

    def frames() -> Iterator[tuple[int, bytes]]:
        for number in range(count):
            flow = Flow(
                1024 + number % 60_000,
                1_700_000_000_000_000_000 + number * 1000,
                client=".".join(map(str, address(number // 60_000))),
            ).add(True, SYN)
            yield flow.segments[0].ns, ethernet(flow.segments[0])

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "syns.pcap"
        path.write_bytes(pcap(frames()))
        started = time.process_time()
        facts = facts_of(path)
        print(f"extraction {time.process_time() - started:.1f} s", file=sys.stderr)
        return facts


SHAPES: dict[str, tuple[Callable[[int], Facts], int]] = {
    "services": (services, 5_000),
    "servers": (servers, 100_000),
    "lonely_servers": (lonely_servers, 100_000),
    "leaves": (leaves, 10_000),
    "aborts": (aborts, 50_000),
    "failures": (failures, 200_000),
    "clients": (clients, 100_000),
    "legs": (legs, 50_000),
    "syns": (syns, 1_000_000),
}


def child(name: str, count: int) -> None:
    """One story, judged to its last connection."""
    make, _ = SHAPES[name]
    started = time.process_time()
    facts = make(count)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    made = time.process_time()
    analysis = judge(facts)
    assert analysis.document
    for _ in analysis.connections():
        pass
    ended = time.process_time()
    took = ended - (started if name == "syns" else made)
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - (0 if name == "syns" else before))


def measured(name: str, count: int) -> tuple[float, int]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench_shapes", "--child", name, str(count)],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    took, memory = done.stdout.split()
    return float(took), int(memory)


def main(names: list[str]) -> int:
    worst = 0.0
    print(f"{'shape':<16}{'things':>10}{'a quarter':>11}{'all':>9}{'growth':>8}{'KiB a thing':>13}")
    for name in names or list(SHAPES):
        count = SHAPES[name][1]
        (few, _), (all_of_them, memory) = measured(name, count // 4), measured(name, count)
        worst = max(worst, all_of_them / few)
        print(
            f"{name:<16}{count:>10,}{few:>9.2f} s{all_of_them:>7.2f} s{all_of_them / few:>8.1f}{memory / count:>13.1f}",
            flush=True,
        )
    return worst > MOST_GROWTH


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]))
    else:
        sys.exit(main(sys.argv[1:]))
