"""What the starter started, seen by who asked it to: see ``starter``."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import time
from collections.abc import Mapping, Sequence

import msgspec

from inspector.errors import InspectorError
from inspector.live.host.privileges import Account
from inspector.live.sources.launch import KILLED, Launch
from inspector.live.sources.starter import (
    MESSAGE_BYTES,
    STATUS,
    SendRequest,
    SettleRequest,
    StarterReply,
    StarterRequest,
    StartRequest,
    message,
    serve,
)
from inspector.system.parent import dying_with_this

ANSWER_SECONDS = 10.0
END_SECONDS = 0.3
LOOK_SECONDS = 0.01
MOST_DESCRIPTORS = 8


class StarterEnded(InspectorError):
    """Nothing can be started any more."""


class Starter:
    """Our end of the socket. ``has_ended``: the starter has, or answers nothing. ``has_commands``: it starts programs
    that are not ours.
    """

    def __init__(self, launches: Sequence[Launch]) -> None:
        """Make it: a copy of this process, which must have one thread and hold no secret. ``launches``: all that it
        will be asked for. Raises OSError.
        """
        self._launches = list(launches)
        self.has_commands = not all(launch.is_own for launch in launches)
        self.has_ended = False
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        prepare = dying_with_this()
        self._process = os.fork()
        if not self._process:
            ours.detach()
            serve(theirs, self._launches, prepare)
        theirs.close()
        ours.settimeout(ANSWER_SECONDS)
        self._socket = ours

    def start(self, launch: Launch, values: Mapping[str, str]) -> StartedChild:
        """One of its launches. Raises OSError where that cannot be started, StarterEnded."""
        number = next(number for number, known in enumerate(self._launches) if known is launch)
        reply, descriptors = self._ask(StartRequest(number, dict(values)))
        if reply.error:
            raise OSError(reply.error, os.strerror(reply.error))
        return StartedChild(self, reply.child, descriptors[0], descriptors[1:])

    def settle(self, who: Account | None) -> str:
        """All is open: it becomes that user, and gives up what is not needed. Why it is not confined though it should
        be, as the system says, empty where it is. Raises OSError where rights cannot be given up, StarterEnded.
        """
        reply, _ = self._ask(SettleRequest(who))
        if reply.error:
            raise OSError(reply.error, os.strerror(reply.error))
        return reply.unconfined

    def send(self, child: int, number: int) -> None:
        """A signal to a child. Any thread may; waits for nothing."""
        with contextlib.suppress(OSError):
            self._socket.send(message(SendRequest(child, number)), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def close(self) -> None:
        """It ends, with what still runs of all that it started; waited for."""
        self._socket.close()
        until = time.monotonic() + END_SECONDS
        with contextlib.suppress(ChildProcessError):
            while not os.waitpid(self._process, os.WNOHANG)[0]:
                if time.monotonic() > until:
                    os.kill(self._process, signal.SIGKILL)
                    os.waitpid(self._process, 0)
                    break
                time.sleep(LOOK_SECONDS)

    def _ask(self, request: StarterRequest) -> tuple[StarterReply, list[int]]:
        answer, descriptors = b"", list[int]()
        try:
            if not self.has_ended:
                self._socket.send(message(request), socket.MSG_NOSIGNAL)
                answer, descriptors, _, _ = socket.recv_fds(
                    self._socket, MESSAGE_BYTES, MOST_DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
                )
        except (ConnectionError, TimeoutError):
            pass
        if not answer:
            self.has_ended = True
            raise StarterEnded("the process that starts others has ended")
        return msgspec.convert(json.loads(answer), StarterReply), descriptors


class StartedChild:
    """A child of the starter's."""

    def __init__(self, starter: Starter, number: int, ended: int, descriptors: Sequence[int]) -> None:
        """``ended``: the pipe that says how it ended."""
        self.descriptors = tuple(descriptors)
        self._starter = starter
        self._number = number
        self._ended = ended
        self._status: int | None = None

    def wait(self, seconds: float) -> int | None:
        if self._status is None and select.select([self._ended], [], [], seconds)[0]:
            octets = os.read(self._ended, STATUS.size)
            # where nothing is told the starter has ended, and the kernel has killed what it started
            self._status = STATUS.unpack(octets)[0] if octets else KILLED
            os.close(self._ended)
        return self._status

    def send(self, number: int) -> None:
        if self._status is None:
            self._starter.send(self._number, number)
