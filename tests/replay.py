"""A bundled capture as flows that can be cut and changed."""

from __future__ import annotations

import gzip
import io
import socket
from collections.abc import Callable
from pathlib import Path

import dpkt

from inspector.secrets.inputs import SecretInputs, content_of
from tests.build import Flow, Segment
from tests.conftest import CAPTURES


def given_for(name: str) -> SecretInputs:
    """The key log beside a bundled capture."""
    path = CAPTURES / f"{name}.keylog"
    return SecretInputs([(path.name, content_of(str(path)))])


def flows_of(path: Path, wanted: Callable[[int], bool] = lambda port: True) -> list[Flow]:
    """The connections of an Ethernet capture; ``wanted``: by the server's port. The side that sends the SYN is the
    client.
    """
    found: dict[tuple[bytes, int, bytes, int], Flow] = {}
    with gzip.open(path) as file:
        for stamp, data in dpkt.pcap.UniversalReader(io.BytesIO(file.read())):
            ip = dpkt.ethernet.Ethernet(data).data
            tcp = ip.data
            ours, theirs = (ip.src, tcp.sport), (ip.dst, tcp.dport)
            ns = round(stamp * 1e6) * 1000
            if tcp.flags & 0x12 == 0x02 and wanted(tcp.dport) and (*ours, *theirs) not in found:
                found[*ours, *theirs] = Flow(
                    tcp.sport, ns, socket.inet_ntoa(ip.src), socket.inet_ntoa(ip.dst), tcp.dport, (tcp.seq, 0)
                )
            flow, from_client = found.get((*ours, *theirs)), True
            if flow is None:
                flow, from_client = found.get((*theirs, *ours)), False
            if flow is None:
                continue
            if tcp.flags & 0x12 == 0x12:
                flow.isn = (flow.isn[0], tcp.seq)
            base = flow.isn[0 if from_client else 1]
            flow.segments.append(
                Segment(ns, from_client, tcp.flags, (tcp.seq - base) & 0xFFFFFFFF, bytes(tcp.data), flow)
            )
    return list(found.values())
