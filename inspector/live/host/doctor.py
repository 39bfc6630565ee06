"""What a live capture needs here, what there is, and the command that mends what is missing."""

from __future__ import annotations

import grp
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

from inspector.errors import UsageError
from inspector.live.host import landlock
from inspector.live.host.limits import as_text, scarce
from inspector.live.host.places import journal_path_of
from inspector.live.host.preloading import program
from inspector.live.host.privileges import Account, account, denied, is_kept_from_capturing, may_capture
from inspector.live.host.puppet import Host, generation
from inspector.live.host.sandbox import tried
from inspector.live.sources.pcap_library import pcap_library

WHEELS_OF_CYPCAP = ("x86_64",)
"""Machines that it is a dependency on: see pyproject.toml."""

CAPABILITY = "security.capability"
SUDO_SECONDS = 3.0
SECURE_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
"""sudo's own path, at its shortest (RHEL)."""
RING_MIB, RING_FILES = 100, 50


class Check(NamedTuple):
    """One line. ``state``: good, bad, or neither. ``mend``: a command, "" where there is nothing to mend."""

    state: Literal["good", "bad", "note"]
    text: str
    mend: str = ""


MARKS = {"good": "✔", "bad": "✖", "note": "·"}


class Diagnosis(NamedTuple):
    """``can_capture``: whether this user can capture live here, by itself or by a program that may."""

    checks: list[Check]
    can_capture: bool


def diagnosis(host: Host) -> Diagnosis:
    """Rights first, then the means, then what this machine says of itself."""
    others = [] if may_capture() else list(_by_others())
    return Diagnosis([*_rights(host), *others, *means(), *_machine(host)], may_capture() or bool(others))


def _rights(host: Host) -> Iterator[Check]:
    if may_capture():
        yield Check(
            "good",
            "this user may capture"
            + (" (root; rights are given up once the capture is open)" if os.geteuid() == 0 else " (CAP_NET_RAW)"),
        )
        if os.geteuid() == 0:
            try:
                who = account(None, os.environ)
            except UsageError as error:
                yield Check("bad", str(error), f"{_program()} live -Z USER")
            else:
                yield from _afterwards(who, host.log)
        return
    if is_kept_from_capturing():
        yield Check(
            "bad",
            "this user may not capture: this container or service was started without CAP_NET_RAW",
            "podman run --cap-add NET_RAW …  # docker alike; kubectl debug --profile=netadmin",
        )
        return
    yield Check("bad", "this user may not capture", f"sudo {_under_sudo()} live")
    program = os.path.realpath(sys.executable)
    if _has_capability(program):
        if os.statvfs(program).f_flag & os.ST_NOSUID:
            yield Check(
                "bad", f"{program} has a capability, but its file system is mounted nosuid, which takes it away"
            )
        else:
            yield Check("note", f"{program} has a capability that does not help: it must be cap_net_raw=ep")


def _afterwards(who: Account, log: str) -> Iterator[Check]:
    """What the user that a capture becomes may read and write. ``log``: Puppet Server's, empty where there is none."""
    if not who.uid:
        return
    hidden = denied(who, program())
    if hidden:
        unreadable = (
            f"{who.name}, whom a capture becomes, cannot read {hidden[0]}: everything is loaded before rights are"
            " given up"
        )
        yield Check("note", unreadable, "python3 -m venv /opt/inspector  # and install it there; or -Z USER, -Z root")
    else:
        yield Check("good", f"{who.name}, whom a capture becomes, can read Python and this program")
    if log and denied(who, [log]):
        group = _group_of(os.path.dirname(log))
        remedy = f"useradd --system --groups {group} inspector && {_program()} watch -Z inspector" if group else ""
        unreadable = (
            f"{who.name} may not read {log}: it is opened before rights are given up, and lost when it is rotated"
        )
        yield Check("note", unreadable, remedy)
    journal = journal_path_of(who, makes=False)
    if journal:
        yield Check("good", f"watch keeps its journal in {journal}")
    else:
        remedy = f"{_program()} watch --journal FILE  # where {who.name} may write; or -Z USER"
        yield Check("note", f"{who.name} may write to no place for a journal: watch keeps none by itself", remedy)


def _group_of(folder: str) -> str:
    """The group that a directory lets in; ``""`` where it has no name, or is root's."""
    try:
        group = os.stat(folder).st_gid
        return grp.getgrgid(group).gr_name if group else ""
    except (OSError, KeyError):
        return ""


def permitted_dumpcap() -> str:
    """Wireshark's program that captures, where it may for this user; else empty."""
    dumpcap = shutil.which("dumpcap") or ""
    if (
        dumpcap
        and os.access(dumpcap, os.X_OK)
        and (_has_capability(dumpcap) or os.stat(dumpcap).st_mode & 0o4000)
        and not os.statvfs(dumpcap).f_flag & os.ST_NOSUID
    ):
        return dumpcap
    return ""


def _by_others() -> Iterator[Check]:
    """Programs that may capture for this user."""
    dumpcap = permitted_dumpcap()
    if dumpcap:
        yield Check(
            "good", f"{dumpcap} may capture for this user", f"{_program()} live --via 'dumpcap -i any -q -P -w -'"
        )
    for name in ("tcpdump", "dumpcap"):
        if _sudo_allows(name):
            command = (
                "tcpdump -i any -U -s0 --immediate-mode -w -" if name == "tcpdump" else "dumpcap -i any -q -P -w -"
            )
            yield Check(
                "good",
                f"sudo lets this user run {name} without a password",
                f"{_program()} live --via 'sudo -n {command}'",
            )


def _sudo_allows(name: str) -> bool:
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if not shutil.which("sudo") or not program:
        return False
    try:
        return (
            subprocess.run(
                ["sudo", "-n", "-l", program], capture_output=True, timeout=SUDO_SECONDS, check=False
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def _has_capability(path: str) -> bool:
    try:
        return bool(os.getxattr(path, CAPABILITY))
    except OSError:
        return False


def means() -> Iterator[Check]:
    """What reads interfaces, what is scarce, and by what a capture is confined."""
    try:
        library = pcap_library()
        whose = f"found as {library.file}" if library.is_of_system else "which cypcap brings"
        yield Check("good", f"{library.version}, {whose}, reads interfaces")
    except ImportError:
        yield Check("bad", "there is no libpcap: interfaces cannot be read without it", _libpcap_remedy())
    for one in scarce():
        yield Check("note", as_text(one))
    yield from _confinement()


def _libpcap_remedy() -> str:
    """Cypcap where it has a wheel, else a package of the system's."""
    if platform.machine() in WHEELS_OF_CYPCAP:
        return f"{sys.executable} -m pip install cypcap"
    installers = {
        "apt-get": "apt-get install libpcap0.8",
        "dnf": "dnf install libpcap",
        "zypper": "zypper install libpcap1",
    }
    return next((line for name, line in installers.items() if shutil.which(name)), "")


def _confinement() -> Iterator[Check]:
    """By what the parser of strangers' bytes, and what captures them, are bound here, once everything is open."""
    try:
        abi, is_filtered = tried()
    except OSError as error:
        yield Check("bad", f"watch cannot be confined here: {error.strerror}")
        return
    if abi:
        network = " and TCP" if abi >= landlock.TCP_SINCE else ""
        yield Check("good", f"watch is confined by Landlock (version {abi}: files{network})")
    else:
        yield Check("note", "this kernel offers no Landlock: which files watch may open its user alone decides")
    if is_filtered:
        yield Check("good", "a filter of system calls: what parses in watch starts nothing and connects nowhere")
    else:
        yield Check("note", "there is no filter of system calls for this machine")


def _machine(host: Host) -> Iterator[Check]:
    machine = host.machine
    if machine is None:
        yield Check("note", "no Puppet Server runs here, as far as this user can see")
    else:
        rule = {
            "first": "the identity rule of old Java",
            "current": "the identity rule of today",
            None: "its identity rule is not known",
        }[generation(machine.jdk)]
        yield Check(
            "good",
            f"Puppet Server, process {machine.process}{f' of {host.user}' if host.user else ''}, JDK"
            f" {machine.jdk or 'unknown'}: {rule}",
        )
        for name, value in machine.properties:
            yield Check("note", f"  -D{name}={value}")
        if machine.allows_change:
            yield Check(
                "note", "  the JVM takes any certificate on a full handshake: the error cannot happen, an attack can"
            )
    if host.configuration:
        yield Check("good", f"PuppetDB by {host.configuration}")
    for server in host.servers:
        through = f", through {server.interface}" if server.interface else ""
        where = f"{', '.join(server.addresses) or 'no address'}{through}"
        yield Check(
            "good" if server.addresses else "bad",
            f"  {server.host}:{server.port}: {where}",
            "" if server.addresses else f"getent hosts {server.host}",
        )
    if host.log:
        readable = os.access(host.log, os.R_OK)
        yield Check(
            "good" if readable else "note", f"log: {host.log}{'' if readable else ', which this user may not read'}"
        )
    for note in host.notes:
        yield Check("note", note)


def _program() -> str:
    return os.path.basename(sys.argv[0]) if not sys.argv[0].endswith(".py") else "inspector"


def _under_sudo() -> str:
    """As sudo finds it, which looks where the system's own programs are."""
    name = _program()
    if shutil.which(name, path=SECURE_PATH):
        return name
    elsewhere = shutil.which(name)
    return shlex.quote(os.path.abspath(elsewhere)) if elsewhere else name


def lines(checks: list[Check], escape: Callable[[str], str]) -> str:
    """As text, a line each, and below it what mends it."""
    lines = []
    for check in checks:
        lines.append(f"{MARKS[check.state]} {escape(check.text)}")
        if check.mend:
            lines.append(f"    {escape(check.mend)}")
    return "\n".join(lines) + "\n"


def recipe(host: Host) -> str:
    """For somebody who may run nothing else: the line that captures, and what becomes of its file."""
    parts = []
    for server in host.servers:
        wanted = " or ".join(f"host {address}" for address in server.addresses)
        parts.append(f"(({wanted}) and tcp port {server.port})" if wanted else f"tcp port {server.port}")
    expression = " or ".join(dict.fromkeys(parts)) or "tcp port 8081"
    interface = host.interfaces[0] if len(host.interfaces) == 1 else "any"
    ring = f"-C {RING_MIB} -W {RING_FILES}"
    return f"""# On the Puppet Server's host: a ring of {RING_FILES} files of {RING_MIB} MB, whole packets, until
# Ctrl-C.
sudo tcpdump -i {interface} -s 0 -B 65536 -n {ring} -Z "$(id -un)" -w vip.pcap '{expression}'

# Anywhere: all files are one story.
inspector vip.pcap*

# Or without a file in between, from another machine:
inspector live --via "ssh HOST sudo tcpdump -i {interface} -s 0 -U --immediate-mode -w - '{expression}'"
"""
