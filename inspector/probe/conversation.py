"""One connection of a probe: TCP, what is said before TLS, a handshake by OpenSSL over memory buffers, a closing alert.
Every byte of both directions is noted as it passes. Nothing else is sent, but for one HEAD request where it is asked
for.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import struct
from typing import NamedTuple

from inspector.probe.client_cache import ClientCache
from inspector.probe.client_model import ClientModel, Credentials, context_of
from inspector.probe.destination import Destination
from inspector.probe.plan import ProbePlan
from inspector.probe.server_answer import does_extended_master_secret
from inspector.probe.starttls import proxy_header
from inspector.probe.transcript import ProbeClock, ProbeEnd, TcpEvent, Transcript

MOST_BYTES = 256 << 10
"""That are taken of one connection: a handshake with long chains takes a tenth."""
READ_BYTES = 16 << 10
TICKET_SECONDS = 1.0
"""How long is waited for a ticket of TLS 1.3, which comes behind the handshake, or never."""
ANSWER_SECONDS = 2.0
CLOSING_SECONDS = 1.0
"""How long the server may take to close."""
NOW = struct.pack("ii", 1, 0)
"""SO_LINGER by which closing sends a RST (socket(7))."""


class Probing(NamedTuple):
    """What the connections of a probe share that stand for one JVM, and no others."""

    plan: ProbePlan
    model: ClientModel
    context: ssl.SSLContext
    cache: ClientCache
    clock: ProbeClock


def probings_of(plan: ProbePlan, credentials: Credentials, key_log: str) -> list[Probing]:
    """One for each JVM that is stood for. ``key_log``: path of a file for the secrets of all connections. Raises
    UsageError.
    """
    clock = ProbeClock()
    return [
        Probing(plan, model, context_of(model, credentials, key_log), ClientCache(), clock) for model in plan.models
    ]


class _EndsHere(Exception):
    """The connection ends here."""

    def __init__(self, end: ProbeEnd, reason: str = "") -> None:
        super().__init__(end)
        self.end = end
        self.reason = reason


class Conversation:
    """One connection, from its SYN to its end. ``transcript`` holds what happened so far, whatever becomes of it."""

    def __init__(self, probing: Probing, destination: Destination) -> None:
        """Raises OSError where there is no socket, or no way to the destination."""
        self._probing = probing
        self._destination = destination
        with socket.socket(destination.family, socket.SOCK_DGRAM) as way:
            way.connect(destination.end)  # sends nothing: the system says which address of its own it takes
            source = way.getsockname()
        self._socket = socket.socket(destination.family, socket.SOCK_STREAM)
        try:
            self._socket.setblocking(False)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._socket.bind((source[0], 0, *source[2:]))
            client = (source[0].partition("%")[0], self._socket.getsockname()[1])
        except OSError:
            self._socket.close()
            raise
        self.transcript = Transcript(probing.clock, client, destination, probing.model.name)
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()

    async def hold(self) -> None:
        """Say all that is to be said, within the plan's time; how it ended stands in the transcript."""
        transcript = self.transcript
        try:
            async with asyncio.timeout(self._probing.plan.seconds):
                await self._connect()
                await self._say_before_tls()
                await self._handshake()
        except TimeoutError:
            if transcript.end is not ProbeEnd.FINISHED:
                transcript.end = ProbeEnd.HUNG if self._is_connected else ProbeEnd.NO_ANSWER
        except _EndsHere as over:
            transcript.end, transcript.reason = over.end, over.reason
        finally:
            self._close()

    @property
    def _is_connected(self) -> bool:
        return self.transcript.has(TcpEvent.ACCEPTED, from_client=False)

    async def _connect(self) -> None:
        transcript = self.transcript
        transcript.note(TcpEvent.SYN)
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self._destination.end)
        except ConnectionRefusedError:
            transcript.note(TcpEvent.REFUSED, from_client=False)
            raise _EndsHere(ProbeEnd.REFUSED) from None
        except ConnectionResetError:  # accepted, and reset before this was looked at
            transcript.note(TcpEvent.ACCEPTED, from_client=False)
            raise self._reset() from None
        except OSError as error:
            raise _EndsHere(ProbeEnd.UNREACHABLE, errno.errorcode.get(error.errno or 0, "")) from None
        transcript.note(TcpEvent.ACCEPTED, from_client=False)

    async def _say_before_tls(self) -> None:
        plan = self._probing.plan
        if plan.sends_proxy_header:
            await self._send(proxy_header(self.transcript.client, self._destination))
        if plan.starttls is None:
            return
        await self._send(plan.starttls.request)
        answer = plan.starttls.answer()
        wanted = next(answer)
        while True:
            try:
                wanted = answer.send(await self._exactly(wanted))
            except StopIteration as over:
                if over.value is not True:
                    raise _EndsHere(ProbeEnd.NO_STARTTLS) from None
                return

    async def _handshake(self) -> None:
        plan, model, context, cache, _ = self._probing
        key = plan.cache_key(self._destination)
        offered = cache.offered(key)
        try:
            tls = context.wrap_bio(
                self._incoming, self._outgoing, server_hostname=plan.server_name or None, session=offered
            )
            answer = b""
            while not _is_done(tls):
                await self._flush()
                data = await self._receive()
                answer += data if len(answer) < READ_BYTES else b""
                self._incoming.write(data)
            await self._flush()
            self.transcript.end = ProbeEnd.FINISHED
            before = _session_id(tls)
            await self._after(tls, before)
            if _is_tls13(tls):
                is_kept = _session_id(tls) != before
            else:  # Java that does extended master secret offers no session that was made without
                is_kept = not (model.has_ems and does_extended_master_secret(answer) is False)
            cache.keep(key, tls.session if is_kept else None, is_single=_is_tls13(tls))
            await self._say_goodbye(tls)
        except ssl.SSLError as error:
            with contextlib.suppress(_EndsHere):
                await self._flush()
            raise _EndsHere(ProbeEnd.TLS_ERROR, error.reason or type(error).__name__) from None

    async def _after(self, tls: ssl.SSLObject, before: bytes) -> None:
        """What comes behind the handshake: the answer to a HEAD request, a ticket of TLS 1.3, an alert where it wants a
        client certificate. ``before``: the session's id when the handshake was done. Raises SSLError.
        """
        plan = self._probing.plan
        if plan.sends_head:
            name = plan.server_name or self._destination.address
            tls.write(f"HEAD / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode("ascii", "replace"))
            await self._flush()
        elif not _is_tls13(tls):
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(ANSWER_SECONDS if plan.sends_head else TICKET_SECONDS):
                while not _is_answered(tls) and (plan.sends_head or _session_id(tls) == before):
                    try:
                        self._incoming.write(await self._receive())
                    except _EndsHere as over:
                        if over.end is ProbeEnd.FLOODED:
                            raise
                        return

    async def _say_goodbye(self, tls: ssl.SSLObject) -> None:
        """The closing alert, and TCP's end; the server may close in turn."""
        with contextlib.suppress(ssl.SSLError):  # it would wait for the server's alert, which Java does not
            tls.unwrap()
        try:
            await self._flush()
            self._socket.shutdown(socket.SHUT_WR)
            self.transcript.note(TcpEvent.FIN)
            async with asyncio.timeout(CLOSING_SECONDS):
                while True:
                    await self._receive()
        except OSError:  # TimeoutError among them
            pass
        except _EndsHere as over:
            if over.end is ProbeEnd.FLOODED:
                raise

    async def _flush(self) -> None:
        if self._outgoing.pending:
            await self._send(self._outgoing.read())

    async def _send(self, data: bytes) -> None:
        self.transcript.note(TcpEvent.DATA, data)
        try:
            await asyncio.get_running_loop().sock_sendall(self._socket, data)
        except OSError:
            raise self._reset() from None

    async def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += await self._receive(count - len(data))
        return data

    async def _receive(self, most: int = READ_BYTES) -> bytes:
        """At least one byte."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self._socket, most)
        except OSError:
            raise self._reset() from None
        if not data:
            self.transcript.note(TcpEvent.FIN, from_client=False)
            raise _EndsHere(ProbeEnd.CLOSED)
        self.transcript.note(TcpEvent.DATA, data, from_client=False)
        if self.transcript.received > MOST_BYTES:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NOW)
            self.transcript.note(TcpEvent.RESET)
            raise _EndsHere(ProbeEnd.FLOODED)
        return data

    def _reset(self) -> _EndsHere:
        self.transcript.note(TcpEvent.RESET, from_client=False)
        return _EndsHere(ProbeEnd.RESET)

    def _close(self) -> None:
        """A connection that was stopped stays open in the transcript: its end says nothing of the server."""
        transcript = self.transcript
        is_reset = any(transcript.has(TcpEvent.RESET, from_client=side) for side in (True, False))
        if self._is_connected and not is_reset and transcript.end is not ProbeEnd.STOPPED:
            transcript.note(TcpEvent.FIN)
        self._socket.close()


def _is_done(tls: ssl.SSLObject) -> bool:
    """Whether the handshake is, after a further step. Raises SSLError."""
    try:
        tls.do_handshake()
    except ssl.SSLWantReadError:
        return False
    return True


def _is_answered(tls: ssl.SSLObject) -> bool:
    """Whether data or the closing alert came. Raises SSLError."""
    try:
        tls.read(READ_BYTES)
    except ssl.SSLWantReadError:
        return False
    except ssl.SSLZeroReturnError:
        pass
    return True


def _is_tls13(tls: ssl.SSLObject) -> bool:
    return tls.version() == "TLSv1.3"


def _session_id(tls: ssl.SSLObject) -> bytes:
    """A ticket of TLS 1.3 changes it."""
    return tls.session.id if tls.session is not None else b""
