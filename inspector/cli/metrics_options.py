"""Where ``watch`` gives out its metrics: a file, and a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import click

from inspector.cli.options import gathered
from inspector.errors import UsageError
from inspector.text.hostport import listening

if TYPE_CHECKING:
    from inspector.live.outputs.metric_families import MetricsOutput
    from inspector.live.outputs.metrics_endpoint import MetricsEndpoint


class MetricsOptions(NamedTuple):
    """As ``--help`` says."""

    metrics_path: str | None
    metrics_listen: str | None


metrics_options = gathered(
    MetricsOptions,
    [
        click.option(
            "--metrics", "metrics_path", metavar="FILE", help="Write metrics here, in Prometheus' text format."
        ),
        click.option(
            "--metrics-listen",
            "metrics_listen",
            metavar="[HOST:]PORT",
            help="Serve metrics here for Prometheus to scrape; without HOST to this machine alone.",
        ),
    ],
)
"""The command is called with ``MetricsOptions``."""


class ChosenOutputs:
    """What the options ask for. ``path``: of the file."""

    def __init__(self, options: MetricsOptions) -> None:
        """Raises UsageError."""
        self.path = options.metrics_path
        self._address = listening(options.metrics_listen) if options.metrics_listen is not None else None
        self._endpoint: MetricsEndpoint | None = None

    def listen(self) -> None:
        """While this process may. Raises UsageError, also where what serves metrics is not installed."""
        if self._address is None:
            return
        try:
            from inspector.live.outputs.metrics_endpoint import MetricsEndpoint
        except ModuleNotFoundError as error:
            if (error.name or "").partition(".")[0] != "prometheus_client":
                raise
            raise UsageError(
                "--metrics-listen needs prometheus-client, which is not installed",
                "pip install 'vip-inspector[metrics]'",
            ) from None
        self._endpoint = MetricsEndpoint(*self._address)

    @property
    def accepts_connections(self) -> bool:
        """Whether a socket listens."""
        return self._endpoint is not None

    def start(self) -> list[MetricsOutput]:
        """Once this process is confined: whoever asks is answered by threads that are too."""
        from inspector.live.outputs.metrics import Metrics

        outputs: list[MetricsOutput] = [Metrics(self.path)] if self.path else []
        if self._endpoint is not None:
            self._endpoint.start()
            outputs.append(self._endpoint)
            click.echo(f"inspector: metrics: {self._endpoint.url}", err=True)
        return outputs

    def close(self) -> None:
        """Nobody is answered any more."""
        if self._endpoint is not None:
            self._endpoint.close()
