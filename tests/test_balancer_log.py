"""The balancer's log joined with the wire: which server each connection went to."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from inspector.findings.judge import judge
from inspector.logs.reading import read_log
from inspector.text.times import rfc3339
from tests.conftest import CAPTURES, find
from tests.logged import HOUR, MILLISECOND, SECOND, SHARED, facts_of, puppet, with_logs


@pytest.mark.parametrize("name", ["puppet-session-ids", "puppet-shared-name"])
def test_the_balancer_names_every_server(name: str) -> None:
    """Two thirds of the ports come again, some within seconds."""
    case = puppet(name).case
    text = gzip.decompress((CAPTURES / f"{name}.haproxy.log.gz").read_bytes()).decode()
    expected = sorted(
        (line.split("haproxy[")[1].split(" ")[1], line.split("puppetdb/")[1].split(" ")[0])
        for line in text.splitlines()
    )
    found = sorted(
        (f"127.0.0.1:{case.observed[i].client_leg.client.port}", c.entry.server)
        for i, c in case.balancer.chosen.items()
    )
    assert found == expected
    for index, chosen in case.balancer.chosen.items():
        assert abs(chosen.entry.ns - case.observed[index].first_ns) < 50 * MILLISECOND
        backend = case.backends[case.observed[index].backend]
        assert backend.server == chosen.entry.server
    assert len(case.backends) == 3


def test_the_balancer_names_servers_in_tls_1_3() -> None:
    name = "puppet-new-mixed"
    if not (SHARED / f"{name}.pcap").exists():
        pytest.skip("needs a recording that is not bundled")
    path = str(SHARED / f"{name}.pcap")
    assert not judge(facts_of(path)).case.backends
    case = with_logs(path, [read_log(str(SHARED / f"{name}.haproxy.log"))]).case
    truth = json.loads((SHARED / f"{name}.meta.json").read_text())["haproxy_log"]
    found = sorted((f"127.0.0.1:{s.client_leg.client.port}", case.backends[s.backend].server) for s in case.observed)
    assert found == sorted((row["client"], row["server"]) for row in truth)
    assert [b.basis for b in case.backends] == [["log"]] * 3


@pytest.mark.parametrize("shift", [-3 * HOUR, 2 * SECOND])
def test_the_balancers_clock_may_differ(tmp_path: Path, shift: int) -> None:
    log = read_log(str(CAPTURES / "puppet-session-ids.haproxy.log.gz"))
    for entry in log.proxied:
        entry.ns += shift
    case = with_logs(str(find("puppet-session-ids")), [log]).case
    assert len(case.balancer.chosen) == 177
    offset = case.balancer.offset(0)
    assert offset is not None
    assert abs(offset.ns - shift) < 60 * MILLISECOND


def test_ids_stay_where_the_log_only_names() -> None:
    plain = judge(facts_of(str(find("puppet-session-ids")))).document
    named = puppet("puppet-session-ids").document
    assert {b.id: b.connections for b in plain.backends} == {b.id: b.connections for b in named.backends}
    assert {f.id for f in plain.findings} == {f.id for f in named.findings}


def test_a_balancers_log_of_another_time_names_nobody() -> None:
    log = read_log(str(CAPTURES / "puppet-session-ids.haproxy.log.gz"))
    for seed in range(10):
        chance = random.Random(seed)
        for entry in log.proxied:
            entry.ns += chance.randint(-3 * HOUR, 3 * HOUR)
        case = with_logs(str(find("puppet-session-ids")), [log]).case
        assert not case.balancer.chosen, seed


def test_one_certificate_on_three_servers_is_told_apart_by_the_log(tmp_path: Path) -> None:
    path = str(find("shared-certificate"))
    plain = judge(facts_of(path)).case
    assert len(plain.backends) == 1
    lines = []
    for number, seen in enumerate(plain.observed):
        at = rfc3339(seen.first_ns)
        stamp = f"{at[8:10]}/Nov/{at[:4]}:{at[11:23]}"
        client = seen.client_leg.client
        lines.append(
            f"{'.'.join(map(str, client.address))}:{client.port} [{stamp}] vip pool/server{number % 3} 0/0/0\n"
        )
    log = tmp_path / "haproxy.log"
    log.write_text("".join(lines))
    case = with_logs(path, [read_log(str(log))]).case
    assert [b.server for b in case.backends] == ["server0", "server1", "server2"]
    assert all(case.backends[s.backend].server == f"server{s.index % 3}" for s in case.observed)
    assert not [
        limit for limit in with_logs(path, [read_log(str(log))]).document.limits if limit.kind == "one_certificate"
    ]
