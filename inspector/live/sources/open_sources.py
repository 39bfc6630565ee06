"""From what was asked to open sources: interfaces, the kernel's filter, whose rights are given up when."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from inspector.errors import UsageError
from inspector.live.host.places import settle_at_home
from inspector.live.host.privileges import Account, account, become, keep_only, may_capture
from inspector.live.sources.capture_launch import CaptureLaunch
from inspector.live.sources.launch import Launch, launch_of
from inspector.live.sources.sniff_messages import CaptureMethod, SniffOptions
from inspector.live.sources.started import Starter
from inspector.text.hostport import PORT

if TYPE_CHECKING:
    from inspector.live.outputs.execution import Execution
    from inspector.live.sources.interface import InterfaceSource
    from inspector.live.sources.source import Source

ANY = "any"
SNAPLEN = 262_144
BUFFER_MIB = 32
MOST_ANCESTORS = 64


@dataclass(frozen=True, slots=True)
class Request:
    """What to capture. ``vips``: (host, port). ``piped``: a descriptor that holds a capture. ``waits``: for interfaces
    that are not there yet.
    """

    interfaces: tuple[str, ...] = ()
    commands: tuple[str, ...] = ()
    piped: int | None = None
    expression: str = ""
    vips: tuple[tuple[str, int], ...] = ()
    snaplen: int = SNAPLEN
    buffer_mib: int = BUFFER_MIB
    promiscuous: bool = False
    user: str | None = None
    by: CaptureMethod = "any"
    waits: bool = False

    @property
    def is_open_to_choice(self) -> bool:
        """Nothing was said on what to capture."""
        return not (self.interfaces or self.commands or self.vips or self.expression or self.piped is not None)


@dataclass(slots=True)
class OpenedSource:
    """``account``: whom this process has become, None where it stayed who it was. ``filter``: the kernel's, empty where
    no interface is captured. ``starter``: what starts them and starts them again, None where there is nothing to start;
    ``unconfined``: why it is not confined though it should be, as the system says.
    """

    sources: list[Source]
    account: Account | None
    filter: str
    starter: Starter | None = None
    unconfined: str = ""

    @property
    def name(self) -> str:
        """What is captured, in one word or a few."""
        return ", ".join(source.name for source in self.sources)

    def close(self) -> None:
        """End what was started for them; the sources must not be used any more."""
        if self.starter is not None:
            self.starter.close()


def becomes(request: Request, environment: Mapping[str, str]) -> Account | None:
    """Whom this process is to become once the capture is open; None where it stays who it is. Raises UsageError."""
    if os.geteuid() != 0:
        if request.user is not None:
            raise UsageError(f"-Z {request.user}: only root can become another user")
        return None
    who = account(request.user, environment)
    return who if who.uid else None


@dataclass(slots=True)
class ReadySource:
    """Sources that can be opened, and what starts them; see ``OpenedSource``. ``commands``: also a pipe."""

    interfaces: list[InterfaceSource]
    commands: list[Source]
    account: Account | None
    filter: str
    starter: Starter | None


def prepared(request: Request, environment: Mapping[str, str], execution: Execution | None = None) -> ReadySource:
    """The sources, and a process that can start them, made of this one: before it reads what it keeps to itself.
    ``execution``: also what that starts. Raises InspectorError.
    """
    interfaces = request.interfaces or (() if request.commands or request.piped is not None else (ANY,))
    who = becomes(request, environment)
    if who is not None and "TMUX" not in environment and (address := _inherited("TMUX")):
        os.environ["TMUX"] = address  # sudo hides it; the user behind it may still speak to their tmux
    expression = kernel_filter(request.vips, request.expression, ssh_session(environment)) if interfaces else ""
    captures = [
        CaptureLaunch(
            SniffOptions(
                interface=name,
                filter=expression,
                account=who,
                snaplen=request.snaplen,
                buffer_mib=request.buffer_mib,
                promiscuous=request.promiscuous,
                by=request.by,
                waits=request.waits,
            )
        )
        for name in interfaces
    ]
    commands = [launch_of(command, "--via") for command in request.commands]
    launches: list[Launch] = [*captures, *commands, *([execution.launch] if execution is not None else [])]
    try:
        starter = Starter(launches) if launches else None
    except OSError as error:
        raise UsageError(f"no further process can be made: {error.strerror}") from None

    from inspector.live.sources.interface import InterfaceSource  # loads numpy, which the copy does without
    from inspector.live.sources.processes import Command
    from inspector.live.sources.source import PipeSource

    watched = [InterfaceSource(launch) for launch in captures]
    run = [Command(command, launch) for command, launch in zip(request.commands, commands, strict=True)]
    for one in run:
        if who is not None:
            one.advice = f"it runs as {who.name}: with -Z root it keeps root's rights"
    if starter is not None:
        for process in (*watched, *run):
            process.starts = starter.start
        if execution is not None:
            execution.starts = starter.start
    piped = [PipeSource("-", request.piped)] if request.piped is not None else []
    return ReadySource(watched, [*run, *piped], who, expression, starter)


def opened(ready: ReadySource) -> OpenedSource:
    """Open all sources, and be an ordinary user afterwards. Raises InspectorError where one cannot be opened."""
    sources = [*ready.interfaces, *ready.commands]
    who, starter = ready.account, ready.starter
    unconfined = ""
    is_open = False
    try:
        for interface in ready.interfaces:
            interface.start()
        for interface in ready.interfaces:
            interface.await_open()
        try:
            if starter is not None:
                unconfined = starter.settle(who)
            if who is not None:
                become(who)
                settle_at_home(who)
            elif os.geteuid() and may_capture():  # the right came with the program or its service
                keep_only(())
        except OSError as error:
            raise UsageError(f"rights could not be given up: {error.strerror or error}", "-Z root keeps them") from None
        for command in ready.commands:
            command.start()
        is_open = True
    finally:
        if not is_open:
            for source in sources:
                source.stop()
            if starter is not None:
                starter.close()
    return OpenedSource(sources, who, ready.filter, starter, unconfined)


def kernel_filter(vips: Sequence[tuple[str, int]], expression: str, ssh: tuple[str, int, str, int] | None) -> str:
    """What the kernel lets through, in the language of pcap-filter(7): the services, joined with a filter of one's own,
    never the SSH session's packets.

    A service by its name is let through by its port alone: names are not looked up.
    """
    services = [
        f"(host {host} and tcp port {port})" if _is_address(host) else f"(tcp port {port})"
        for host, port in dict.fromkeys(vips)
    ]
    parts = [f"({' or '.join(services)})" if services else "tcp"]
    if expression:
        parts.append(f"({expression})")
    if ssh is not None:
        client, client_port, server, server_port = ssh
        parts.append(f"not (host {client} and host {server} and tcp port {client_port} and tcp port {server_port})")
    return " and ".join(parts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def ssh_session(environment: Mapping[str, str]) -> tuple[str, int, str, int] | None:
    """Client and server of the SSH session that this runs in, also behind sudo, which hides it from the environment;
    None where there is none.
    """
    words = (environment.get("SSH_CONNECTION") or _inherited("SSH_CONNECTION")).split()
    if len(words) != 4 or not (PORT.fullmatch(words[1]) and PORT.fullmatch(words[3])):
        return None
    client, server = (word.partition("%")[0] for word in (words[0], words[2]))
    return (client, int(words[1]), server, int(words[3])) if _is_address(client) and _is_address(server) else None


def _inherited(name: str) -> str:
    """A variable of the nearest ancestor that has it, as far as it may be looked at."""
    process = os.getppid()
    for _ in range(MOST_ANCESTORS):
        if process <= 1:
            break
        try:
            for entry in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
                if entry.startswith(name.encode() + b"="):
                    return entry.partition(b"=")[2].decode("utf-8", "replace")
            process = int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError, IndexError):
            break
    return ""
