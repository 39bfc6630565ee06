"""Samples of one moment, written out by Prometheus' own library, which also chooses between its text format and
OpenMetrics as the scraper asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from inspector.live.outputs.metric_families import MetricFamily

OPENMETRICS = "application/openmetrics-text"
FORMS = {False: choose_encoder(""), True: choose_encoder(f"{OPENMETRICS};version=1.0.0")}
"""In which samples are written out, with the media type of each: as text, and (True) as OpenMetrics. Versions and
escaping that a scraper names make no difference to names in ASCII, and are not taken from it: whoever asks for ever
new ones must not crowd out the others.
"""


class SamplesCollector(Collector):
    """Families that are known already, as the library has them."""

    def __init__(self, known: Sequence[MetricFamily]) -> None:
        self._known = known

    def collect(self) -> Iterator[Metric]:
        """What is written out."""
        for family in self._known:
            name = family.name.removesuffix("_total") if family.kind == "counter" else family.name
            metric = Metric(name, family.what, family.kind)
            for value, labels, suffix in family.samples:
                metric.add_sample(f"{family.name}{suffix}", dict(labels), value)
            yield metric


class WrittenForm(NamedTuple):
    """``media_type``: with its parameters."""

    media_type: str
    body: bytes


class MetricsSnapshot:
    """All samples of one moment, and the forms that they were written out in. ``seconds``: what all that took."""

    def __init__(self, make: Callable[[], Iterable[MetricFamily]]) -> None:
        began = time.monotonic()
        self._collector = SamplesCollector([*make()])
        self.seconds = time.monotonic() - began
        self._forms: dict[bool, bytes] = {}

    def written(self, accept: str) -> WrittenForm:
        """As the library chooses by the header ``Accept``; as text where that asks for what it does not know."""
        try:
            is_openmetrics = choose_encoder(accept)[1].startswith(OPENMETRICS)
        except (TypeError, ValueError):  # a version that is none
            is_openmetrics = False
        encoder, media_type = FORMS[is_openmetrics]
        body = self._forms.get(is_openmetrics)
        if body is None:
            began = time.monotonic()
            body = self._forms[is_openmetrics] = encoder(self._collector)
            self.seconds += time.monotonic() - began
        return WrittenForm(media_type, body)
