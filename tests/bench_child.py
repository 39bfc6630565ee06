"""The process on the benchmark's pseudo-terminal: ``python -m tests.bench_child COUNT|FILE NOTES [CACHE]``, where facts
are kept in that folder.
"""

from __future__ import annotations

import gc
import resource
import sys
from pathlib import Path

from inspector.findings.case import Options
from inspector.settings import Settings


def main(what: str, notes: str, cache: str = "") -> None:
    """Runs until it is told to quit."""
    if what.isdigit():
        from inspector.findings.judge import judge
        from tests.bench_measured import Measured, many
        from tests.conftest import find

        analysis = judge(many(int(what)))
        assert analysis.document
        gc.freeze()
        app = Measured([str(find("puppet-session-ids"))], Path(notes), analysis)
    else:
        from inspector.extract.cache import FactsCache
        from inspector.tui.loading import Loading

        loading = Loading([what], Options(), Settings(), cache=FactsCache(Path(cache)) if cache else None)
        loading.start()  # as the command does, before the app is imported
        from tests.bench_measured import Measured

        app = Measured([what], Path(notes), loading=loading)
    app.note(what="ready")
    app.run()
    app.note(what="left", memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


if __name__ == "__main__":
    main(*sys.argv[1:])
