"""Logs of every kind of failure, made from what real Java clients said when they failed, joined with
their recordings.
"""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from inspector.findings.judge import judge
from inspector.findings.logged import moment
from inspector.logs.reading import read_log
from inspector.text.times import rfc3339
from tests.logged import MILLISECOND, SHARED, facts_of, paired_as, with_logs

NAMES = (
    "alike_jsse_untrusted_noid",
    "apache_async_untrusted",
    "hostname_mismatch",
    "n3_single_rotate_newname",
    "plain_http_on_tls_port",
    "untrusted_ca",
    "version_mismatch",
)


@pytest.mark.skipif(not SHARED.exists(), reason="needs recordings that are not bundled")
@pytest.mark.parametrize("name", [*NAMES, "wrong_client_cert"])
def test_each_kind_finds_its_connections(name: str, tmp_path: Path) -> None:
    path = str(SHARED / f"{name}.pcap")
    rows = [json.loads(line) for line in (SHARED / f"{name}.truth.jsonl").read_text().splitlines()]
    chance = random.Random(name)
    seen = {s.client_leg.client.port: s for s in judge(facts_of(path)).case.observed}
    failures = sorted(
        (
            moment(seen[row["local_port"]]) + chance.randint(-700_000, 30 * MILLISECOND),
            seen[row["local_port"]].index,
            row["exception"],
            row["message"],
        )
        for row in rows
        if row["outcome"] == "error" and row.get("local_port") in seen
    )
    assert failures
    log = tmp_path / "puppetserver.log"
    log.write_text(
        "".join(
            f"{rfc3339(ns)[:23]}Z WARN  [q-{i}] [c.p.h.c.i.X] Error executing http request\n{what}: {said}\n"
            for ns, i, what, said in failures
        )
    )
    found = paired_as(with_logs(path, [read_log(str(log))]).case, [(ns, index) for ns, index, _, _ in failures])
    assert found["right"] + found["set"] == len(failures)
    assert found["right"] >= found["set"]
