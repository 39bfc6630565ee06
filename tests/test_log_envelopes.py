"""Whatever a log is wrapped in, it says the same."""

from __future__ import annotations

import gzip
from functools import lru_cache
from pathlib import Path

import pytest

from inspector.logs.entries import LogFacts
from inspector.logs.reading import read_log
from tests.conftest import CAPTURES
from tests.wrapped import ANY, PUPPET


@lru_cache
def lines_of(name: str) -> list[str]:
    return gzip.decompress((CAPTURES / name).read_bytes()).decode().splitlines()


def read(tmp_path: Path, data: bytes) -> LogFacts:
    path = tmp_path / "wrapped.log"
    path.write_bytes(data)
    return read_log(str(path))


@lru_cache
def plain(name: str) -> LogFacts:
    return read_log(str(CAPTURES / name))


@pytest.mark.parametrize("form", [*ANY, *PUPPET])
def test_failures_are_those_of_the_plain_log(form: str, tmp_path: Path) -> None:
    name = "puppet-session-ids.puppetserver.log.gz"
    found = read(tmp_path, (ANY | PUPPET)[form](lines_of(name)))
    expected = plain(name)
    assert found.form == "puppetserver"
    assert not found.problem
    assert not found.untimed
    assert [(f.ns // 10**6, f.kind, f.thread, f.host, f.port, f.request, f.node, f.impact) for f in found.failures] == [
        (f.ns // 10**6, f.kind, f.thread, f.host, f.port, f.request, f.node, f.impact) for f in expected.failures
    ]
    assert all(f.has_zone for f in found.failures)
    if form not in ("logback's JSON",):
        assert [f.detail for f in found.failures] == [f.detail for f in expected.failures]


@pytest.mark.parametrize("name", ["puppet-session-ids", "puppet-shared-name"])
@pytest.mark.parametrize("form", ANY)
def test_connections_are_those_of_the_plain_log(form: str, name: str, tmp_path: Path) -> None:
    found = read(tmp_path, ANY[form](lines_of(f"{name}.haproxy.log.gz")))
    expected = plain(f"{name}.haproxy.log.gz")
    assert found.form == "haproxy"
    assert not found.problem
    assert [(p.ns, p.client, p.port, p.backend, p.server, p.address) for p in found.proxied] == [(p.ns, p.client, p.port, p.backend, p.server, p.address) for p in expected.proxied]
