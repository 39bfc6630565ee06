"""What a probe predicts of a pool, and what real JVMs meet at the same pool right afterwards.

    sudo python3 captures/lab/predicted.py FOLDER [--connections 300] [--java PATH …]

builds the lab of ``lab.py`` in nine ways, and in each asks the pool by ``inspector probe``, as one of the JVMs that it
stands for, then by each ``--java`` (11 or later) that is told to speak like it. ``predicted.jsonl`` in FOLDER has a
line for each, the captures lie beside it. Of each probe is said too whether tcpdump's capture of it, analysed
afterwards, gives the same back ends and the same matrix of sessions (up to TLS 1.2, which needs no keys), and whether
HAProxy's log names the same back end for each connection.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from lab import HERE, NAME, NO_EMS, PORT, TLS12, VIP, Lab, Pool, lab, refusal
from persistence import SOURCE

from inspector.capture.files import Story
from inspector.capture.probe_marks import interface_of
from inspector.capture.writer import PcapngWriter

NO_TICKETS = ("-Djdk.tls.client.enableSessionTicketExtension=false",)
SPEAKS = {"java17": (), "java8": (*TLS12, *NO_TICKETS), "java8-no-ems": (*NO_EMS, *NO_TICKETS)}
"""Options by which a JVM speaks like the one that a probe stands for."""

POOLS = {
    "at random": (Pool(has_tls13=True), ("java8-no-ems", "java8", "java17")),
    "at random, one without EMS": (Pool(lacks_ems=True), ("java8",)),
    "at random, one name in all certificates": (Pool(shared_name=True), ("java8-no-ems",)),
    "at random, one down": (Pool(is_one_down=True), ("java8-no-ems",)),
    "round robin": (Pool(balance="balance roundrobin"), ("java8-no-ems",)),
    "least connections": (Pool(balance="balance leastconn"), ("java8-no-ems",)),
    "source": (Pool(balance=SOURCE), ("java8-no-ems",)),
}
RESTRICTED = "server certificate change is restricted"
BALANCED = re.compile(r":(\d+) \[[^]]+\] \w+ \w+/(\w+) ")
"""Of a line of HAProxy: the client's port, and whom it was sent to."""


class Asked(NamedTuple):
    """One client that went through a pool, and the names under which its captures lie in a folder."""

    built: Lab
    folder: Path
    connections: int

    def inspector(self, *words: str) -> None:
        """Run the command in the client's namespace; findings are no failure."""
        done = subprocess.run(
            self.built.inside(self.built.client, [sys.executable, "-m", "inspector", *words]),
            cwd=HERE.parent.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode not in (0, 1):
            raise RuntimeError(f"inspector {words[0]}: {done.stderr}")

    def analysis(self, capture: Path) -> dict[str, Any]:
        """What a capture says."""
        path = capture.with_suffix(".json")
        self.inspector("analyze", str(capture), "-T", "json", "-o", str(path))
        return _read(path)

    def probe(self, stem: str, model: str) -> dict[str, Any]:
        """Ask as a probe, recorded by tcpdump; a row."""
        kept, recorded, out = (self.folder / f"{stem}{end}" for end in (".pcapng", ".tcpdump.pcap", ".json"))
        words = [f"{VIP}:{PORT}", "--sni", NAME, "--as", model, "-n", str(self.connections), "--rate", "50"]
        with self.built.recorded(recorded):
            self.inspector("probe", *words, "--at-once", "1", "-T", "json", "-w", str(kept), "-o", str(out))
        own = _read(out)
        [service] = own["services"]
        row = {"declined": _declined(own), "gives_up": _gives_up(own), "state": service["assessment"]["state"]}
        row["not_established"] = sum(c["outcome"] != "established" for c in own["connections"])
        row["is_offline_the_same"] = own == self.analysis(kept)
        if "TLSv1.3" not in {c["handshakes"][0]["version"] for c in own["connections"]}:
            row["is_tcpdump_alike"] = _met(own) == _met(self.analysis(_marked(recorded, model)))
        row["is_balancer_alike"] = self._is_balanced(own)
        return row

    def _is_balanced(self, own: Mapping[str, Any]) -> bool:
        """Whether HAProxy sent each connection to the back end that answered it."""
        log = (self.built.folder / "haproxy.log").read_text()
        sent = {int(port): server for port, server in BALANCED.findall(log)}
        names = _subjects(own)
        answered = {c["client_endpoint"]["port"]: names[c["backend"]] for c in own["connections"] if c["backend"]}
        return bool(answered) and all(sent.get(port) == name for port, name in answered.items())

    def java(self, stem: str, model: str, java: str) -> dict[str, Any]:
        """Ask by a JVM, recorded by tcpdump; a row."""
        recorded = self.folder / f"{stem}.tcpdump.pcap"
        with self.built.recorded(recorded):
            account = subprocess.run(
                self.built.client_command(self.connections, 5, SPEAKS[model], java), stdout=subprocess.PIPE, check=True
            ).stdout
        ends = [json.loads(line) for line in account.splitlines()]
        restricted = sum(RESTRICTED in end["message"] for end in ends)
        met = self.analysis(recorded)
        failed = sum(end["outcome"] != "established" for end in ends)
        return {"declined": _declined(met), "gave_up": restricted, "failed_otherwise": failed - restricted}


def _marked(capture: Path, model: str) -> Path:
    """A copy that says that a probe made it: else who says nothing at a steady pace is a health check."""
    marked = capture.with_suffix(".pcapng")
    with marked.open("wb") as out:
        writer = PcapngWriter(out)
        for batch in Story([str(capture)]).batches():
            writer.write(batch, name=interface_of(model))
    return marked


def _read(path: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(path.read_bytes())
    return document


def _declined(document: Mapping[str, Any]) -> int:
    return sum(connection["handshakes"][0]["declined"] for connection in document["connections"])


def _gives_up(document: Mapping[str, Any]) -> int:
    return sum(connection["handshakes"][0]["jsse"]["row"] == 6 for connection in document["connections"])


def _subjects(document: Mapping[str, Any]) -> dict[str, str]:
    """The back ends by the first label of their certificates' names, as HAProxy calls them."""
    subjects = {c["sha256"]: c["subject"] for c in document["certificates"]}
    return {b["id"]: subjects.get(b["leaf"], "?").removeprefix("CN=").partition(".")[0] for b in document["backends"]}


def _met(document: Mapping[str, Any]) -> tuple[Counter[str], dict[tuple[str, str], tuple[int, int]]]:
    """Who answered how often, and who took whose sessions."""
    names = _subjects(document)
    [service] = document["services"]
    answered = Counter(names[c["backend"]] for c in document["connections"] if c["backend"])
    matrix = {
        (names.get(cell["issued_by"], "?"), names.get(cell["offered_to"], "?")): (cell["resumed"], cell["declined"])
        for cell in service["matrix"]
    }
    return answered, matrix


def _version(java: str) -> str:
    said = subprocess.run([java, "-version"], capture_output=True, text=True, check=True).stderr
    return said.split('"')[1]


def rows(folder: Path, connections: int, javas: Sequence[str]) -> Iterator[dict[str, Any]]:
    """All of them, one after the other."""
    for pool, (made, models) in POOLS.items():
        with lab(made) as built:
            asked = Asked(built, folder, connections)
            for model in models:
                stem = f"{pool.replace(', ', '-').replace(' ', '-')}.{model}"
                yield {"pool": pool, "as": model, "by": "probe", **asked.probe(stem, model)}
                for java in javas:
                    version = _version(java)
                    yield {"pool": pool, "as": model, "by": version, **asked.java(f"{stem}.{version}", model, java)}


def main() -> int:
    """Ask all pools; the exit status."""
    parser = argparse.ArgumentParser(description="What a probe predicts, and what JVMs meet.")
    parser.add_argument("folder", type=Path, help="where the captures and the rows go; must be new or empty")
    parser.add_argument("--connections", type=int, default=300)
    parser.add_argument("--java", action="append", help="a JVM of 11 or later; repeatable")
    options = parser.parse_args()
    if why := refusal(options.folder):
        print(why, file=sys.stderr)
        return 2
    with (options.folder / "predicted.jsonl").open("w") as out:
        for row in rows(options.folder, options.connections, options.java or ["java"]):
            print(json.dumps(row), file=out, flush=True)
            print(json.dumps(row))
    return 0


if __name__ == "__main__":
    sys.exit(main())
