"""Reading in the background, by a cluster."""

from __future__ import annotations

from collections.abc import Sequence

from inspector.facts import Facts
from inspector.findings.case import Options
from inspector.fleet.reading import extract_by_cluster
from inspector.secrets.inputs import SecretInputs
from inspector.settings import Settings
from inspector.tui.loading import Loading, LoadingStage


class FleetLoading(Loading):
    """Nothing is shown before all was read."""

    def __init__(
        self,
        paths: Sequence[str],
        options: Options,
        chosen_settings: Settings,
        secret_inputs: SecretInputs | None,
        cluster: str,
        vantages: Sequence[str],
    ) -> None:
        """``cluster``, ``vantages``: as in ``extract_by_cluster``."""
        super().__init__(paths, options, chosen_settings, secret_inputs)
        self._cluster, self._vantages = cluster, tuple(vantages)

    def again(self, paths: Sequence[str]) -> FleetLoading:
        """Read these in the same way."""
        return FleetLoading(
            paths, self._options, self._settings, self._asked_with, cluster=self._cluster, vantages=self._vantages
        )

    def _extracted(self) -> Facts:
        return extract_by_cluster(
            self.paths,
            self._cluster,
            self._vantages,
            self._asked_with,
            progress=self._advance,
            begun=self._begun,
            advance=self._files,
        )

    def _files(self, read: int, total: int) -> None:
        """So many captures were read, of all."""
        self.stage = LoadingStage("reading captures", total, "files", read)
        self._check(read)
