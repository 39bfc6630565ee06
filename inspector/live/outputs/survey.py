"""What all that is remembered means: judged as a whole now and then, for most findings are not about one connection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from inspector.errors.bounds import ServicesNotJudged
from inspector.findings.change import ABORT
from inspector.findings.judge import judge
from inspector.findings.wording import worded
from inspector.live.live_capture import LiveCapture
from inspector.reports.named_lines import NamedLines
from inspector.text.times import rfc3339

LIMIT = "limit"
"""The kind of what is no line of its own, but told with the statistics."""


class Surveyed(NamedTuple):
    """A line on all that is remembered. ``record``: its kind; ``name``: what it is about; ``state``: what makes it
    worth another line; ``encoded``: its JSON, of a ``LIMIT`` its words.
    """

    record: str
    name: str
    state: str
    encoded: bytes


def survey(capture: LiveCapture) -> Iterator[Surveyed]:
    """The findings that are not about one connection, the assessment of each service, and what could not be judged; one
    by one, for there may be one of each for thousands of services.
    """
    analysis = judge(capture.whole(), capture.options, reader=capture.reader, has_inventory=False)
    document = analysis.document
    encode = msgspec.json.encode
    named = NamedLines(analysis.case)
    for finding in document.findings:
        if finding.rule != ABORT:
            state = f"{finding.verdict} {finding.severity}"
            yield Surveyed("finding", finding.id, state, named.encoded(finding, finding))
    at = rfc3339(capture.now_ns)
    for service in document.services:
        assessment = service.assessment
        values = {
            "at": at,
            "service": service.id,
            "name": service.name,
            "port": service.port,
            **msgspec.structs.asdict(assessment),
        }
        state = f"{assessment.state} {assessment.grade}"
        yield Surveyed("assessment", service.id, state, encode(values))
    for bound in analysis.case.facts.bounded:
        if isinstance(bound, ServicesNotJudged):
            yield Surveyed(LIMIT, "", "", worded(bound).encode())
