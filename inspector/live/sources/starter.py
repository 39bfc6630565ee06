"""The process that starts others for one that parses, which may not: a copy of it from before it read anything of
strangers, as in privilege separation (Provos, Friedl, Honeyman: Preventing Privilege Escalation, 2003).

It is asked by messages of a socket that both hold, and parses nothing else. It starts what it was made with, by number,
hands on the descriptors (SCM_RIGHTS, unix(7)), and says in a pipe of each child how that ended. When nobody holds the
other end any more it ends, with all that it started; so do they when it is killed.

Once all is open it gives up what its launches do not need. Those of our own need ``CAP_NET_RAW``, and are confined as
it is; a command of somebody's is bound by nothing but the user that it runs as, and so must this be.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import select
import signal
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

import msgspec

from inspector.live.host.places import settle_at_home
from inspector.live.host.privileges import CAP_DAC_READ_SEARCH, CAP_NET_RAW, Account, become, keep_only
from inspector.live.host.sandbox import confine_starter
from inspector.live.sources.launch import Launch, LocalChild

MESSAGE_BYTES = 1 << 18
MOST_CHILDREN = 64
SENT = (signal.SIGTERM, signal.SIGKILL)
"""Signals that it sends for others."""

STATUS = struct.Struct("=i")
"""What a child's pipe says once it has ended: its exit status, below 0 the signal."""

LEFT_ALONE = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""They come to all processes of a terminal, or of a service, and are answered by who parses."""


class StartRequest(msgspec.Struct, tag="start"):
    """``launch``: by its number. ``values``: for its environment."""

    launch: int
    values: dict[str, str]


class SendRequest(msgspec.Struct, tag="send"):
    """A signal to a child; there is no answer."""

    child: int
    number: int


class SettleRequest(msgspec.Struct, tag="settle"):
    """All is open: be this user, or stay who it is, and give up what is not needed. Once."""

    account: Account | None


StarterRequest = StartRequest | SendRequest | SettleRequest


class StarterReply(msgspec.Struct):
    """``error``: of the system, 0 where all went well. ``unconfined``: why it is not confined though it should be, as
    the system says.
    """

    child: int = -1
    error: int = 0
    unconfined: str = ""


def message(value: StarterRequest | StarterReply) -> bytes:
    """In ASCII: what is no UTF-8 in a variable comes through as well."""
    return json.dumps(msgspec.to_builtins(value)).encode()


def serve(connection: socket.socket, launches: Sequence[Launch], prepare: Callable[[], None]) -> NoReturn:
    """Be this process until nobody asks any more. ``prepare``: has it end with its parent."""
    try:
        prepare()
        gc.freeze()  # what is shared with the parent is not written to
        _hold_only(connection.fileno())
        _Serving(connection, launches, prepare).run()
    finally:
        os._exit(1)


def _hold_only(descriptor: int) -> None:
    """Nothing that the parent has open stays open here: a capture on its standard input would never end."""
    for other in map(int, os.listdir("/proc/self/fd")):
        if other != descriptor:
            with contextlib.suppress(OSError):
                os.close(other)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):
        os.dup2(nowhere, standard)
    if nowhere > 2:
        os.close(nowhere)


class _Serving:
    def __init__(self, connection: socket.socket, launches: Sequence[Launch], prepare: Callable[[], None]) -> None:
        self._connection = connection
        self._launches = launches
        self._prepare = prepare
        self._children: dict[int, tuple[LocalChild, int]] = {}
        """Each with the pipe that says how it ended."""
        self._next = 0
        self._is_settled = False

    def run(self) -> None:
        requests = self._connection.fileno()
        woken, wakes = os.pipe()
        for descriptor in (woken, wakes):
            os.set_blocking(descriptor, False)
        for number in (*LEFT_ALONE, signal.SIGCHLD):
            if signal.getsignal(number) is not signal.SIG_IGN:  # else whoever is started is to ignore it as well
                signal.signal(number, lambda number, frame: None)
        signal.set_wakeup_fd(wakes, warn_on_full_buffer=False)
        while True:
            ready = select.select([requests, woken], [], [])[0]
            if woken in ready:
                os.read(woken, 4096)
            self._tell_ended()
            if requests in ready and not self._answer():
                break
        for child, _ in self._children.values():
            child.send(signal.SIGKILL)
        os._exit(0)

    def _answer(self) -> bool:
        """False where nobody asks any more, or what is asked is none of ours."""
        try:
            octets = self._connection.recv(MESSAGE_BYTES)
            request: StarterRequest = msgspec.convert(json.loads(octets), StarterRequest)
            match request:
                case StartRequest(launch, values):
                    self._start(self._launches[launch], values)
                case SendRequest(child, number):
                    if child in self._children and number in SENT:
                        self._children[child][0].send(number)
                case SettleRequest(account):
                    self._connection.send(message(self._settle(account)))
        except (OSError, ValueError, IndexError):
            return False
        return True

    def _start(self, launch: Launch, values: Mapping[str, str]) -> None:
        if len(self._children) >= MOST_CHILDREN:
            self._connection.send(message(StarterReply(error=errno.EAGAIN)))
            return
        try:
            child = launch.begin(values)
        except OSError as error:
            self._connection.send(message(StarterReply(error=error.errno or errno.EPERM)))
            return
        ended, ends = os.pipe()
        number, self._next = self._next, self._next + 1
        self._children[number] = (child, ends)
        theirs = [ended, *child.descriptors]
        socket.send_fds(self._connection, [message(StarterReply(number))], theirs)
        for descriptor in theirs:
            os.close(descriptor)

    def _tell_ended(self) -> None:
        for number, (child, ends) in list(self._children.items()):
            status = child.wait(0)
            if status is None:
                continue
            with contextlib.suppress(OSError):  # nobody wants to know
                os.write(ends, STATUS.pack(status))
            os.close(ends)
            del self._children[number]

    def _settle(self, who: Account | None) -> StarterReply:
        if self._is_settled:
            return StarterReply(error=errno.EPERM)
        self._is_settled = True
        has_commands = not all(launch.is_own for launch in self._launches)
        kept = (CAP_NET_RAW,) if any(launch.is_own for launch in self._launches) else ()
        try:
            if who is not None:
                become(who, kept)
                settle_at_home(who)
            elif not has_commands:
                keep_only((*kept, CAP_DAC_READ_SEARCH))  # to find our program wherever it lies
        except OSError as error:
            return StarterReply(error=error.errno or errno.EPERM)
        self._prepare()  # forgotten by the kernel when the user changed
        if has_commands:
            return StarterReply()
        try:
            confine_starter()
        except OSError as error:
            return StarterReply(unconfined=error.strerror or str(error))
        return StarterReply()
