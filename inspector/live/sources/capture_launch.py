"""Our own program again, as a process that only captures (``sniff``)."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from inspector.live.host.privileges import CAP_NET_RAW, hand_on
from inspector.live.sources.launch import LocalChild
from inspector.live.sources.sniff_messages import SniffOptions, encoded
from inspector.system.parent import dying_with_this


class CaptureLaunch(NamedTuple):
    """Its descriptors: its reports, where it hears that a region of memory is done with, and the two regions."""

    options: SniffOptions

    @property
    def is_own(self) -> bool:
        return True

    def begin(self, values: Mapping[str, str]) -> LocalChild:
        """Start it. Raises OSError."""
        regions = [os.memfd_create(f"inspector-frames-{number}", os.MFD_CLOEXEC) for number in range(2)]
        reports, status = os.pipe()
        done, owed = os.pipe()
        options = msgspec.structs.replace(self.options, status=status, other=regions[1])
        try:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "inspector.live.sources.sniff", encoded(options)],
                stdin=done,
                stdout=regions[0],
                stderr=subprocess.DEVNULL,
                pass_fds=[status, regions[1]],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                start_new_session=True,
                preexec_fn=_able(dying_with_this()),
            )
        except OSError:
            for descriptor in (reports, owed, *regions):
                os.close(descriptor)
            raise
        finally:
            os.close(status)
            os.close(done)
        return LocalChild(process, (reports, owed, *regions))


def _able(prepare: Callable[[], None]) -> Callable[[], None]:
    """It has the right to capture, where who starts it has."""

    def be_able() -> None:
        prepare()
        hand_on(CAP_NET_RAW)

    return be_able
