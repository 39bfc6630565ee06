"""A live capture into the pipe of whoever shows it. Nothing is said but what went wrong: Wireshark shows all that
stands on standard error as a mistake, once the capture ends.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
from typing import TYPE_CHECKING

import click

from inspector.cli.ending import TimelyEnd, let_signals_end
from inspector.cli.live import kill, unfinished
from inspector.errors import InspectorError, NotPermittedError, UsageError

if TYPE_CHECKING:
    from inspector.cli.extcap_options import ExtcapOptions
    from inspector.live.keeping import Keeping
    from inspector.live.outputs.packet_stream import ReaderPipe
    from inspector.live.sources.open_sources import OpenedSource, ReadySource, Request


def capture_into(path: str, options: ExtcapOptions) -> None:
    """Until nobody reads the pipe any more, or a signal ends it. ``path``: of the pipe, opened as whoever runs this.
    Raises InspectorError.
    """
    from inspector.live.sources.open_sources import opened, prepared

    let_signals_end()
    request = _request(options)
    ready = prepared(request, os.environ)  # before what follows: its copy of this process stays small

    from inspector.live.outputs.packet_stream import ReaderPipe

    try:
        pipe = ReaderPipe(os.open(path, os.O_WRONLY))
    except OSError as error:
        raise UsageError(f"--fifo {path}: {error.strerror or error}") from None
    keeping = _keeping(options, pipe)
    _preload(ready, has_keys=keeping.keys is not None)
    source = opened(ready)
    try:
        _run(source, request, keeping, pipe, options)
    finally:
        source.close()


def _request(options: ExtcapOptions) -> Request:
    """By ourselves, or by dumpcap where that may and this user may not. Raises UsageError, NotPermittedError."""
    from inspector.live.host.doctor import permitted_dumpcap
    from inspector.live.host.privileges import may_capture
    from inspector.live.sources.open_sources import Request, kernel_filter, ssh_session
    from inspector.text.hostport import parsed

    vips = tuple(parsed(word) for word in options.vips.split())
    if may_capture():
        return Request(interfaces=(options.interface,), vips=vips, expression=options.expression)
    dumpcap = permitted_dumpcap()
    if not dumpcap:
        raise NotPermittedError(
            "neither this user nor dumpcap for them may capture", "inspector doctor names what there is to do"
        )
    expression = kernel_filter(vips, options.expression, ssh_session(os.environ))
    command = [dumpcap, "-i", options.interface, "-q", "-P", "-f", expression, "-w", "-"]
    return Request(commands=(shlex.join(command),), vips=vips)


def _keeping(options: ExtcapOptions, pipe: ReaderPipe) -> Keeping:
    """What goes into the pipe, and what opens encrypted handshakes. Raises InspectorError."""
    from inspector.live.keeping import Keeping
    from inspector.live.outputs.packet_stream import PacketStream, StreamedIncidents
    from inspector.text.times import SECOND_NS

    keeping = Keeping()
    if options.packets == "incidents":
        keeping.trigger = StreamedIncidents(pipe, [options.interface])
    else:
        keeping.stream = PacketStream(pipe, [options.interface], options.delay * SECOND_NS)
    if options.key_log:
        from inspector.cli.captures import passphrase
        from inspector.live.sources.growing_keys import GrowingKeys

        keeping.keys = GrowingKeys((options.key_log,), (), passphrase)
    return keeping


def _preload(ready: ReadySource, *, has_keys: bool) -> None:
    """All that may be needed, where whom this becomes could not read it."""
    from inspector.live.host.preloading import SECRETS, preload, program
    from inspector.live.host.privileges import denied

    if ready.account is not None and denied(ready.account, program()):
        preload(SECRETS if has_keys else ())


def _run(source: OpenedSource, request: Request, keeping: Keeping, pipe: ReaderPipe, options: ExtcapOptions) -> None:
    """Confined once all is open. Raises InspectorError where it ended for want of what captures."""
    from inspector.findings.case import Options
    from inspector.live.garbage import collect_rarely
    from inspector.live.live_capture import LiveCapture
    from inspector.live.outputs.commenting import Commenting
    from inspector.text.safe import safe_text

    capture = LiveCapture(source.sources, Options("current", request.vips), keeping, options.interface)
    _confine(options)
    listener = Commenting(capture, pipe, lambda text: click.echo(f"inspector: {safe_text(text, 500)}", err=True))
    ending = TimelyEnd(lambda: unfinished(capture), lambda: kill(capture))
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda number, frame: capture.stop())
    ending.guard((signal.SIGINT, signal.SIGTERM))
    collect_rarely()
    try:
        capture.run(listener)
        if keeping.stream is not None:
            keeping.stream.pass_on(capture.now_ns, at_last=True)
            keeping.stream.statistics(capture.now_ns, capture.info.packets, capture.dropped or 0)
    finally:
        capture.close()
    if source.starter is not None and source.starter.has_ended:
        raise InspectorError("the process that starts what captures has ended")


def _confine(options: ExtcapOptions) -> None:
    """As far as this kernel can, by each means; that it cannot is no mistake of a capture."""
    from inspector.live.host.privileges import keep_only
    from inspector.live.host.sandbox import confine_loop

    reads = [os.path.dirname(os.path.abspath(options.key_log))] if options.key_log else []
    with contextlib.suppress(OSError):
        keep_only(())
    with contextlib.suppress(OSError):
        confine_loop(reads, ())
