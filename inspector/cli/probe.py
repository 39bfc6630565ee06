"""``probe``: a pool is asked itself, and the analysis of what it answered printed."""

from __future__ import annotations

import ipaddress
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

import click

from inspector.cli.analyze import print_analysis
from inspector.cli.captures import CaptureArguments, analysis_of
from inspector.cli.ending import TimelyEnd, end_by
from inspector.cli.exit_status import FINDINGS
from inspector.cli.fail_on import FailOn, fail_on_option
from inspector.cli.kept_capture import KeptCapture
from inspector.cli.options import format_option, generation_option, zone_option
from inspector.cli.probe_options import (
    ProbeOptions,
    credentials_of,
    ends_of,
    passphrase_of,
    plan_of,
    probe_options,
)
from inspector.cli.streams import note, require_writable
from inspector.cli.written_files import require_apart
from inspector.errors import UsageError
from inspector.reports.formats import FORMATS
from inspector.text.safe import path_text, safe_text

if TYPE_CHECKING:
    from inspector.findings.jsse import Generation
    from inspector.findings.judge import Analysis
    from inspector.probe.client_model import Credentials
    from inspector.probe.plan import ProbePlan
    from inspector.probe.running import ProbeRun
    from inspector.text.zones import TimeZone


@click.command("probe", short_help="Ask a pool itself, as Java would.")
@click.argument("target", metavar="HOST[:PORT]")
@probe_options
@generation_option()
@click.option(
    "-w", "--write", "capture", type=click.Path(dir_okay=False), help="Keep what was said as a capture (pcapng)."
)
@format_option(*FORMATS)
@zone_option("the times of -T text")
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, writable=True), help="Write to a file instead of standard output."
)
@fail_on_option("medium", "Which findings make the exit status 1; exposed: a pool on which Java may give up.")
def probe_command(
    options: ProbeOptions,
    target: str,
    generation: Generation,
    capture: str | None,
    form: str,
    output: str | None,
    fail_on: FailOn,
    *,
    zone: TimeZone,
) -> None:
    """Ask a pool itself, as a Java client would, and print the analysis of what it answered.

    Only TLS handshakes and closing alerts are sent, to every address of HOST in turn; servers see them in their logs.
    It stops by itself, or by ctrl+c with what is known so far. See docs/how-to/probe.md.
    """
    from tempfile import mkdtemp

    from inspector.cli.client_certificate import with_puppet, with_puppet_if_wanted

    ends_of(target, options)  # what cannot be done is said before anything is asked
    options = with_puppet_if_wanted(with_puppet(options))
    require_files(options, capture, output)
    plan = plan_of(target, options)
    import inspector.findings.judge  # noqa: F401 - loaded before a signal comes: little is left to do then

    directory = mkdtemp(prefix="inspector-probe-")
    kept: KeptCapture | None = None
    ending = TimelyEnd(lambda: _unfinished(capture, kept), lambda: remove(directory, kept))
    try:
        kept = KeptCapture(capture or os.path.join(directory, "probe.pcapng"))
        credentials = credentials_of(options, passphrase_of(options.key or options.certificate or ""))
        _ask(plan, credentials, ending, directory, kept)
        if capture is not None:
            note(f"{path_text(capture)}: {SECRETS if kept.is_kept else NOT_KEPT}")
        analysis = analysis_of(CaptureArguments((kept.path,), generation=generation))
    finally:
        remove(directory, kept)
    if capture is None or not kept.is_kept:
        analysis.case.facts.captures[0].path = f"probe of {path_text(target)}"
    print_analysis(analysis, form, None, output, zone)
    if not analysis.count and not ending.status:
        raise UsageError(f"{path_text(target)}: no connection came as far as a ClientHello")
    if ending.status:
        raise SystemExit(ending.status)
    established = _established(plan, analysis)
    missing = [model.name for model in plan.models if model.name not in established]
    if established and fail_on.any_of(analysis.document.findings):
        raise SystemExit(FINDINGS)
    if missing:
        as_them = f" as {', '.join(missing)}" if len(plan.models) > 1 else ""
        raise UsageError(
            f"{path_text(target)}: cannot tell whether Java may give up: no handshake with it was completed{as_them}",
            "where it asks for a client certificate: --cert; where it is slow: --timeout, --rate",
        )


def _established(plan: ProbePlan, analysis: Analysis) -> set[str]:
    """As which JVMs any handshake through the service was: of back ends alone nothing is known of it."""
    from inspector.tracking.services import ip_text

    through = {(ipaddress.ip_address(end.address), end.port) for end in plan.through}
    return {
        observed.stack.stands_for
        for observed in analysis.case.observed
        if observed.outcome == "established"
        and (ipaddress.ip_address(ip_text(observed.server.address)), observed.server.port) in through
    }


def require_files(options: ProbeOptions, capture: str | None, output: str | None) -> None:
    """Before anything is asked: what is written takes nothing away, and can be written. Raises InspectorError."""
    if capture == "":
        raise UsageError("-w: no file is named")
    if capture == "-":
        raise UsageError("-w -: a capture with secrets is not written to standard output", "name a file")
    read = (("--cert", options.certificate), ("--key", options.key), ("--cacert", options.authorities))
    require_apart((("-w", capture), ("-o", output)), read)
    if output is not None:
        require_writable(output)


def ask(
    plan: ProbePlan,
    credentials: Credentials,
    kept: KeptCapture,
    directory: str,
    *,
    on_ready: Callable[[ProbeRun], object],
    on_begun: Callable[[int, int], None],
) -> ProbeRun:
    """Run a probe, and keep its capture where a server answered. ``directory``: for its key log. ``on_ready`` is called
    with the run before it begins, ``on_begun`` as ``ProbeRun`` says. Raises InspectorError.
    """
    from inspector.probe.conversation import probings_of
    from inspector.probe.running import ProbeRun
    from inspector.probe.synthetic_capture import write_capture

    key_log = os.path.join(directory, "keys")
    with kept.out as out:
        run = ProbeRun(probings_of(plan, credentials, key_log), on_begun)
        on_ready(run)
        run.run()
        with open(key_log, "rb") as lines:
            write_capture(run.transcripts, lines.read(), out)
    if run.is_answered:
        kept.keep()
    return run


def _ask(plan: ProbePlan, credentials: Credentials, ending: TimelyEnd, directory: str, kept: KeptCapture) -> None:
    """The same, said on standard error: what will be sent, how far it is, what became of it. A signal ends it."""
    from inspector.cli.progress import Progress

    progress = Progress(sys.stderr)

    def begin(run: ProbeRun) -> None:
        end_by(ending, lambda status: run.stop())
        note(_intention(plan))

    try:
        run = ask(plan, credentials, kept, directory, on_ready=begin, on_begun=progress.connections)
    finally:
        progress.done()
    for line in account(run, plan):
        note(line)


def _unfinished(capture: str | None, kept: KeptCapture | None) -> Iterator[str]:
    """What is not done while the command runs, and what is left of it."""
    if capture is None:
        yield "the analysis"
    elif kept is not None and kept.is_kept:
        yield f"the whole analysis ({path_text(capture)} is whole: inspector analyze reads it)"
    else:
        yield f"the capture {path_text(capture)}"
        yield "the analysis"


def remove(directory: str, kept: KeptCapture | None) -> None:
    """Take away what a probe needed while it ran; its capture stays where it was kept."""
    import shutil

    if kept is not None:
        kept.remove()
    shutil.rmtree(directory, ignore_errors=True)


def _intention(plan: ProbePlan) -> str:
    """What will be sent, before any of it is."""
    ends = dict.fromkeys(f"{end.address} port {end.port}" for end in (*plan.direct, *plan.through))
    names = [model.name for model in plan.models]
    sent = intention(plan.total, ends, names, plan.per_second, sends_head=plan.sends_head)
    return f"{sent}; ctrl+c ends it"


def intention(total: int, ends: Iterable[str], models: Iterable[str], per_second: float, *, sends_head: bool) -> str:
    """The same of so many connections with ``ends``, as such clients."""
    head = " and one HEAD request each" if sends_head else ""
    named, names = ", ".join(ends), ", then ".join(models)
    return f"{total} TLS handshakes{head} with {named}, as {names}, {per_second:g} a second at most"


SECRETS = "holds the secrets of these connections; with --cert whoever reads it may resume them as that client"
NOT_KEPT = "not written: no server answered"

ENDS = {
    "STOPPED": "not finished when it was stopped",
    "FINISHED": "finished",
    "REFUSED": "refused (RST to the SYN)",
    "UNREACHABLE": "not reachable",
    "NO_ANSWER": "without an answer to the SYN",
    "HUNG": "accepted, then not answered in time",
    "RESET": "reset by the server",
    "CLOSED": "closed by the server before the handshake was done",
    "FLOODED": "left because the server sent too much",
    "NO_STARTTLS": "declined StartTLS",
    "TLS_ERROR": "ended by OpenSSL",
}
"""What became of connections, in words, by the names of ``ProbeEnd``."""


def _became(end: str, reason: str) -> str:
    from inspector.probe.alerts import received_alert

    if alert := received_alert(reason):
        return f"refused by the server (alert {alert})"
    return ENDS[end] + (f" ({safe_text(reason)})" if reason else "")


def _where(run: ProbeRun, plan: ProbePlan, end: str, reason: str) -> str:
    if end in ("FINISHED", "STOPPED") or len({(one.address, one.port) for one in (*plan.direct, *plan.through)}) == 1:
        return ""
    ended = (one.destination for one in run.transcripts if (one.end.name, one.reason) == (end, reason))
    return " at " + ", ".join(dict.fromkeys(f"{one.address} port {one.port}" for one in ended))


def account(run: ProbeRun, plan: ProbePlan) -> Iterator[str]:
    """What became of the connections, by how they ended, and at which of several addresses they did not finish."""
    ends = Counter((transcript.end.name, transcript.reason) for transcript in run.transcripts)
    parts = [
        f"{count} {_became(end, reason)}{_where(run, plan, end, reason)}" for (end, reason), count in ends.most_common()
    ]
    yield f"{len(run.transcripts)} of {plan.total} connections: {'; '.join(parts) or 'none was begun'}"
    for reason, count in Counter(run.unsent).most_common():
        yield f"{count} not sent: {safe_text(reason)}"
