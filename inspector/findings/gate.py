"""The one gate before every verdict: what was not seen takes a definite state back, or makes it one "as things stand",
and says what is missing.

Assessments pass it when they are made; ``diff`` asks the same of an assessment that it reads. The words for what is
missing stand here, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from inspector.document import Assessment, Grade, Unseen
from inspector.findings.unseen import Aspect, Sight, is_mended

CERTIFICATE_CHANGE = "Java's certificate change"
"""What an assessment calls the error that this program looks for: "server certificate change is restricted during
renegotiation".
"""

MISSING: dict[str, tuple[str, str]] = {
    "one_sided": (
        "1 connection was captured in one direction only",
        "{} connections were captured in one direction only",
    ),
    "mid_stream": (
        "of 1 connection the ClientHello was not captured",
        "of {} connections the ClientHello was not captured",
    ),
    "conflicting_segments": (
        "bytes of 1 handshake came in two versions",
        "bytes of {} handshakes came in two versions",
    ),
    "lost_bytes": ("bytes of 1 handshake were not captured", "bytes of {} handshakes were not captured"),
    "unfinished": ("1 handshake was not captured to its end", "{} handshakes were not captured to their end"),
    "not_told": ("how 1 handshake was made cannot be told", "how {} handshakes were made cannot be told"),
    "certificate_not_read": (
        "of 1 full handshake the certificate was not read",
        "of {} full handshakes the certificate was not read",
    ),
    "unreadable_certificate": (
        "the certificate of 1 connection cannot be read whole",
        "the certificates of {} connections cannot be read whole",
    ),
    "lost_records": (
        "encrypted records of 1 connection were not captured",
        "encrypted records of {} connections were not captured",
    ),
    "before_capture": (
        "1 connection resumed a session whose certificate was not captured",
        "{} connections resumed sessions whose certificates were not captured",
    ),
    "lost_flows": (
        "1 connection shows no TLS, and bytes of it were not captured",
        "{} connections show no TLS, and bytes of them were not captured",
    ),
    "lost_names": (
        "1 connection may be to this service, for the server name (SNI) that it asked for was not captured",
        "{} connections may be to this service, for the server names (SNI) that they asked for were not captured",
    ),
    "unreadable": ("1 input could not be read", "{} inputs could not be read"),
    "not_extracted": ("1 capture was not extracted whole", "{} parts of captures were not extracted"),
    "truncated": ("the capture ends inside a frame", "{} captures end inside a frame"),
    "damaged": ("the capture is damaged", "{} captures are damaged"),
    "drops": ("packets were dropped while capturing", "packets were dropped in {} captures"),
    "undecoded": ("frames could not be read", "frames of {} kinds could not be read"),
    "clipped": ("frames were cut by the snap length", "frames of {} captures were cut by the snap length"),
    "packets_left": ("not all packets were read", "not all packets were read"),
    "bounded": ("a bound of the program was reached", "{} bounds of the program were reached"),
    "internal_errors": (
        "a mistake of this program kept something from being read",
        "{} mistakes of this program kept something from being read",
    ),
    "preamble": ("what stands before TLS was too long", "what stands before TLS was too long"),
    "sequence_jump": (
        "sequence numbers jump where no connection was seen to begin",
        "sequence numbers jump where no connection was seen to begin",
    ),
    "reading": ("not all was read yet", "not all was read yet"),
    "forgotten": ("earlier connections were forgotten", "earlier connections were forgotten"),
    "time_backwards": ("the clock of the capture steps back", "the clocks of {} captures step back"),
    "coarse_times": ("times are too coarse", "the times of {} captures are too coarse"),
}
"""What was not seen, in words: of one, and of several."""


def missing(unseen: Sequence[Unseen]) -> str:
    """What was not seen, as a list in words; kinds of other versions of this program go by their names."""
    words = [
        MISSING[u.kind][u.count > 1].format(u.count) if u.kind in MISSING else f"{u.kind} ({u.count} {u.what})"
        for u in unseen
    ]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def unknown(what: str, grade: Grade, do: str) -> Assessment:
    """Nothing definite can be said."""
    return Assessment("unknown", f"Cannot tell whether {CERTIFICATE_CHANGE} happens here: {what}.", [], [], grade, do)


NOT_ASSESSED = unknown(
    "this program stumbled over the service", "inferred", "report the place that the limits of the analysis name"
)
"""Of a service whose assessment went wrong."""


def gated(
    assessment: Assessment, sight: Sight, rests_on: Aspect, again: Callable[[], str], failed: Callable[[], str]
) -> Assessment:
    """A verdict as far as what was seen carries it. ``rests_on``: the parts of connections that it is drawn from.
    ``again``: how to capture what is missing. ``failed``: where something else failed, what, as a sentence.
    """
    unseen = sight.hides(rests_on)
    if not unseen:
        return assessment
    if assessment.state not in ("protected", "not_this", "exposed"):
        return msgspec.structs.replace(assessment, unseen=unseen)
    but = missing(unseen)
    do = again() if any(is_mended(hidden.kind) for hidden in unseen) else assessment.do
    if assessment.state == "exposed":
        return msgspec.structs.replace(
            assessment,
            sentence=f"Exposed to {CERTIFICATE_CHANGE}: no abort was seen, but nothing prevents it, and not all was"
            f" seen: {but}.",
            unseen=unseen,
        )
    if not sight.whole:
        return msgspec.structs.replace(unknown(but, "not_visible", do), unseen=unseen)
    if assessment.state == "protected":
        sentence = f"Protected from {CERTIFICATE_CHANGE} as things stand, but not all was seen: {but}."
        return Assessment(
            state="protected",
            sentence=sentence,
            because=assessment.because,
            breaks_if=[*assessment.breaks_if, "what was not seen shows otherwise"],
            grade="inferred",
            do=do,
            unseen=unseen,
        )
    sentence = f"{failed()} That is as things stand, for not all was seen: {but}."
    return msgspec.structs.replace(assessment, sentence=sentence, grade="inferred", unseen=unseen)


def is_definite(assessment: Assessment) -> bool:
    """Whether all that the assessment rests on was seen."""
    return assessment.grade == "observed" and not assessment.unseen
