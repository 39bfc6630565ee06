"""The Puppet module: Puppet's own tools take it, its unit is the one of the documents, its fact and its task say what
the program says.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import find
from tests.live import bytes_of, watched

ROOT = Path(__file__).parent.parent
MODULE = ROOT / "docs" / "puppet" / "inspector"
UNIT = ROOT / "docs" / "inspector-watch.service"
TEMPLATE = MODULE / "templates" / "inspector-watch.service.epp"


def tool(name: str, *words: str | Path, cwd: Path | None = None, **environment: str) -> str:
    """What it prints, where it is there."""
    program = shutil.which(name)
    if program is None:
        pytest.skip(f"there is no {name}")
    done = subprocess.run(
        [program, *words], capture_output=True, text=True, check=False, cwd=cwd, env={**os.environ, **environment}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_puppet_takes_it() -> None:
    tool("puppet", "parser", "validate", MODULE / "manifests" / "init.pp")
    tool("puppet", "epp", "validate", TEMPLATE)


def test_it_is_written_as_others_are() -> None:
    assert tool("puppet-lint", "--fail-on-warnings", "--no-140chars-check", MODULE / "manifests") == ""


def test_catalogs_of_it(tmp_path: Path) -> None:
    """Compiled by rspec-puppet, which leaves links behind where it runs: services, logs, nothing at all, gone, and what
    is no service.
    """
    own = shutil.copytree(MODULE, tmp_path / "modules" / "inspector")
    assert "8 examples, 0 failures" in tool("rspec", "spec", cwd=own)
    assert not [path for path in MODULE.rglob("*") if path.is_symlink()]


def test_its_unit_is_that_of_the_documents() -> None:
    """But for what is given by parameters."""
    values = """{'vips' => ['${VIP}'], 'command' => '/opt/inspector/bin/inspector', 'findings_only' => true,
        'logs' => [], 'log_groups' => [], 'memory' => '256M'}"""
    rendered = tool("puppet", "epp", "render", "--values", values, TEMPLATE)
    documented = UNIT.read_text()
    for line in documented.splitlines():
        if line and not line.startswith("#") and not line.startswith("Environment="):
            assert line in rendered.splitlines()
    for line in rendered.splitlines():
        assert line in documented.splitlines() or line in ("# Managed by Puppet.", "")


def test_each_file_of_data_is_for_parameters_that_there_are() -> None:
    manifest = (MODULE / "manifests" / "init.pp").read_text()
    for path in (MODULE / "data").glob("*.yaml"):
        for line in path.read_text().splitlines():
            if line.startswith("inspector::"):
                assert f"${line.removeprefix('inspector::').partition(':')[0]} " in manifest


FACTER = """
module Facter
  def self.add(name, &block); @facts = { name => Fact.new.tap { |fact| fact.instance_eval(&block) }.value }; end
  def self.facts; @facts; end
  class Fact
    attr_reader :value
    def confine(**) = nil
    def setcode = @value = yield
  end
end
require 'json'
eval File.read(ARGV[0]).sub('/run/inspector/inspector.prom', ARGV[1])
puts JSON.generate(Facter.facts)
"""


def fact(path: Path) -> dict[str, object]:
    said: dict[str, dict[str, object]] = json.loads(
        tool("ruby", "-e", FACTER, MODULE / "lib" / "facter" / "inspector.rb", path)
    )
    return said["inspector"]


def test_the_fact(tmp_path: Path) -> None:
    path = tmp_path / "inspector.prom"
    watched(bytes_of(find("puppet-session-ids")), "--no-journal", "--metrics", str(path))
    said = fact(path)
    assert (said["incidents"], said["connections"]) == (23, 177)
    assert set(said) == {"version", "incidents", "connections", "packets", "written"}
    assert fact(tmp_path / "missing") is None


@pytest.mark.parametrize(("path", "status"), [(str(find("silent-abort")), 0), ("/nothing/here.pcap", 2)])
def test_the_task(tmp_path: Path, path: str, status: int) -> None:
    program = tmp_path / "inspector"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m inspector "$@"\n')
    program.chmod(0o755)
    task = MODULE / "tasks" / "analyze.sh"
    done = subprocess.run(
        [task],
        env={**os.environ, "PT_command": str(program), "PT_format": "json", "PT_path": path},
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    assert done.returncode == status
    if not status:
        assert json.loads(done.stdout)["findings"]
    described = json.loads((MODULE / "tasks" / "analyze.json").read_text())
    assert {f"PT_{name}" for name in described["parameters"]} == {"PT_command", "PT_format", "PT_path"}
    tool("shellcheck", task)
