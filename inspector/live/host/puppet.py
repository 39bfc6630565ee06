"""What this machine says of itself: a Puppet Server that runs here, its JVM and options, its PuppetDB servers, and the
way to them.

Only reads: the process table, configuration files, the hosts file and resolver, the routes. What cannot be read is
noted, and assumed nowhere.
"""

from __future__ import annotations

import configparser
import errno
import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from inspector.findings.machine import Machine
from inspector.system.plain_file import open_plain

MARKS = ("puppet-server-release.jar", "puppetlabs.puppetserver", "puppetserver")
MAIN_CLASS = "puppetlabs.trapperkeeper.main"
PROPERTY = re.compile(r"-D((?:jdk\.tls|https\.protocols|javax\.net\.ssl)[\w.]*)(?:=(.*))?")
CONFIGURATIONS = ("etc/puppetlabs/puppet/puppetdb.conf", "etc/puppet/puppetdb.conf")
LOGS = (
    "var/log/puppetlabs/puppetserver/puppetserver.log",
    "var/log/puppetserver/puppetserver.log",
    "var/log/puppet/puppetserver.log",
)
PUPPETDB_PORT = 8081
OWNERS = ("pe-puppet", "puppet")
"""Whose process is believed to be a Puppet Server, beside root's and one's own: anybody may call a process so, and its
options weaken verdicts.
"""

TEXT_BYTES = 1 << 20
FIRST_GENERATION = {8: 60, 7: 85}
"""The updates of Java 8 and 7 with which the identity rule of today came."""


class Server(NamedTuple):
    """A PuppetDB server as it is configured. ``addresses``: what its name stands for here, as text."""

    host: str
    port: int
    addresses: tuple[str, ...]
    interface: str


class Host(NamedTuple):
    """``machine``: None where no Puppet Server runs here. ``notes``: what could not be read."""

    machine: Machine | None
    user: str
    configuration: str
    servers: tuple[Server, ...]
    log: str
    notes: tuple[str, ...]

    @property
    def interfaces(self) -> tuple[str, ...]:
        """Those towards the servers, each once."""
        return tuple(dict.fromkeys(server.interface for server in self.servers if server.interface))


Resolver = Callable[[str, int], list[str]]
Router = Callable[[str, int], tuple[str, str]]


def look(root: str = "/", resolve: Resolver | None = None, route: Router | None = None) -> Host:
    """Look around. ``root``: where the file system begins; ``resolve``: name to addresses; ``route``: address to the
    interface and our address there.
    """
    base = Path(root)
    notes: list[str] = []
    running = _process(base, notes)
    configuration, urls = _configuration(base, notes)
    servers, addresses = _servers(urls, resolve or resolved, route or routed, notes)
    log = _log(base, notes)
    machine = None
    user = ""
    if running is not None:
        process, words, user = running
        machine = Machine(frozenset(addresses), process, _release(base, process, words, notes), _properties(words))
    return Host(machine, user, configuration, tuple(servers), log, tuple(notes))


def _log(base: Path, notes: list[str]) -> str:
    """Puppet Server's log; a directory that this user may not look into is noted."""
    closed = ""
    for path in LOGS:
        try:
            os.stat(base / path)
        except PermissionError:
            closed = closed or f"/{path}"
        except OSError:
            continue
        else:
            return f"/{path}"
    if closed:
        notes.append(
            f"{closed}: whether it is there, this user may not see; a member of the group of"
            f" {os.path.dirname(closed)} may"
        )
    return ""


def _text(path: Path) -> str:
    """Of a file; only its beginning where it is longer than any such file is. Raises OSError, also where it is no file:
    a pipe would never end.
    """
    with open_plain(path) as file:
        return file.read(TEXT_BYTES).decode("utf-8", "replace")


def _process(base: Path, notes: list[str]) -> tuple[int, list[str], str] | None:
    """The Puppet Server: process, command line, user."""
    try:
        entries = sorted(int(entry) for entry in os.listdir(base / "proc") if entry.isdigit())
    except OSError as error:
        notes.append(f"the process table cannot be read: {error.strerror}")
        return None
    for process in entries:
        try:
            words = (base / f"proc/{process}/cmdline").read_bytes().decode("utf-8", "replace").split("\0")
        except OSError:
            continue
        if (
            words
            and "java" in os.path.basename(words[0])
            and any(mark in word for mark in MARKS for word in words)
            and (MAIN_CLASS in words or "-jar" in words or "-cp" in words)
        ):
            uid, user = _owner(base, process)
            if (uid in (0, os.geteuid()) or user in OWNERS) and _is_java_of_its_owner(base, process):
                return process, words, user
            notes.append(
                f"process {process} of {user or f'user {uid}'} calls itself a Puppet Server, and is not believed: a JVM"
                f" of root, {' or '.join(OWNERS)} is; --vip says what to capture"
            )
    return None


def _is_java_of_its_owner(base: Path, process: int) -> bool:
    """Not a program that is more than whoever started it, as su(1) while it asks for a password: that is root's, and
    its words are anybody's. Its user ids are one (proc_pid_status(5)); the program is java, where that may be seen.
    """
    try:
        status = (base / f"proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    ids = re.search(r"^Uid:\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)$", status, re.MULTILINE)
    if ids is None or len(set(ids.groups())) != 1:
        return False
    try:
        return "java" in os.path.basename(os.readlink(base / f"proc/{process}/exe"))
    except OSError:
        return True


def _owner(base: Path, process: int) -> tuple[int, str]:
    """Whose process it is: user id, and name where there is one; -1 where it has ended."""
    import pwd

    try:
        uid = (base / f"proc/{process}").stat().st_uid
    except OSError:
        return -1, ""
    try:
        return uid, pwd.getpwuid(uid).pw_name
    except KeyError:
        return uid, ""


def _properties(words: list[str]) -> tuple[tuple[str, str], ...]:
    """The last one of a name counts, as in Java."""
    properties: dict[str, str] = {}
    for word in words:
        match = PROPERTY.fullmatch(word)
        if match:
            properties[match[1]] = match[2] or ""
    secret = "Password"
    return tuple((name, value) for name, value in properties.items() if secret not in name)


def _release(base: Path, process: int, words: list[str], notes: list[str]) -> str:
    """The JDK's version, by the ``release`` file beside the program."""
    try:
        program = os.readlink(base / f"proc/{process}/exe")
    except OSError:
        program = words[0]
    for folder in Path(program).parents:
        try:
            text = _text(base / str(folder).lstrip("/") / "release")
        except OSError:
            continue
        match = re.search(r'^JAVA_VERSION="?([^"\n]+)', text, re.MULTILINE)
        if match:
            return match[1]
    notes.append(f"the release of the JVM (process {process}) cannot be read")
    return ""


def generation(version: str) -> str | None:
    """``first`` or ``current``: which identity rule a JDK has; None where its version does not say."""
    match = re.fullmatch(r"1\.(\d+)\.0(?:_(\d+))?.*", version)
    if match:
        first = FIRST_GENERATION.get(int(match[1]))
        return "first" if int(match[1]) < 7 or (first is not None and int(match[2] or 0) < first) else "current"
    return "current" if re.match(r"\d+", version) else None


def _configuration(base: Path, notes: list[str]) -> tuple[str, list[tuple[str, int]]]:
    """Where PuppetDB is configured, and as what."""
    for path in CONFIGURATIONS:
        try:
            text = _text(base / path)
        except FileNotFoundError:
            continue
        except OSError as error:
            notes.append(f"/{path}: {error.strerror}")
            continue
        parser = configparser.ConfigParser(strict=False, interpolation=None)
        try:
            parser.read_string(text)
        except configparser.Error as error:
            notes.append(f"/{path}: {str(error).splitlines()[0]}")
            continue
        section = parser["main"] if parser.has_section("main") else {}
        urls = [url.strip() for url in section.get("server_urls", "").split(",") if url.strip()]
        if not urls and section.get("server"):
            urls = [f"https://{section['server']}:{section.get('port', PUPPETDB_PORT)}"]
        return f"/{path}", _endpoints(urls, notes)
    return "", []


def _endpoints(urls: list[str], notes: list[str]) -> list[tuple[str, int]]:
    servers: list[tuple[str, int]] = []
    for url in urls:
        try:
            parts = urlsplit(url)
            if parts.scheme == "https" and parts.hostname:
                servers.append((parts.hostname, parts.port or PUPPETDB_PORT))
            else:
                notes.append(f"server_urls: {url} is no https URL")
        except ValueError as error:
            notes.append(f"server_urls: {url}: {error}")
    return servers


def _servers(
    urls: list[tuple[str, int]], resolve: Resolver, route: Router, notes: list[str]
) -> tuple[list[Server], set[str]]:
    servers: list[Server] = []
    our_addresses: set[str] = set()
    for host, port in urls:
        try:
            addresses = resolve(host, port)
        except OSError as error:
            notes.append(f"{host}: cannot be resolved: {error.strerror or error}")
            addresses = []
        interface = ""
        for address in addresses:
            try:
                interface, ours = route(address, port)
                our_addresses.add(ours)
                break
            except OSError as error:
                notes.append(f"{address}: no route: {error.strerror or error}")
        servers.append(Server(host, port, tuple(addresses), interface))
    return servers, our_addresses


def resolved(host: str, port: int) -> list[str]:
    """The addresses of a name, by the hosts file and the resolver, as Java would ask them. Raises OSError."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:  # a label of no letters or too many: nobody is asked
        raise OSError(errno.EINVAL, "is no name of a host") from None
    return list(dict.fromkeys(str(entry[4][0]).partition("%")[0] for entry in entries))


def routed(address: str, port: int) -> tuple[str, str]:
    """The interface towards an address, and our own address there; nothing is sent. Raises OSError."""
    from inspector.live.sources.interfaces import interfaces

    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect((address, port))
        ours = str(probe.getsockname()[0]).partition("%")[0]
    if ours == address:
        return "lo", ours  # this machine itself
    for interface in interfaces():
        if ours in interface.addresses:
            return interface.name, ours
    return "", ours
