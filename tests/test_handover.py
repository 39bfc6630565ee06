"""Memory that a capturing process shares with who reads it: bounded however slow that is."""

from __future__ import annotations

import json
import subprocess
import sys

from inspector.live.sources.handover import LEAST_FILLED, MOST_WAITING, SLACK_BYTES, USUAL_BYTES
from tests.conftest import CAPTURES
from tests.waiting import COMMAND_SECONDS

FILLING = """
import json, os, random, sys
out = os.fdopen(os.dup(1), "w")
regions = [os.memfd_create(str(number)) for number in range(2)]
os.dup2(regions[0], 1)
done, says = os.pipe()
os.dup2(done, 0)
from inspector.live.sources.handover import SLACK_BYTES, Handover
told = []
handover = Handover(regions[1], told.append)
chance, read, counts = random.Random(7), 0, []
for number in range(1_500):
    is_slow = number // 250 % 2
    size = min(handover.room, chance.randrange(1 << 22))
    handover.memory[handover.filled : handover.filled + size] = bytes(size)
    handover.filled += size
    if len(told) > read and (not is_slow and chance.random() < 0.7 or handover.room < SLACK_BYTES):
        read += 1
        os.write(says, b".")
    handover.hand_on()
    lent = sum(one.filled for one in told[read:])
    counts.append((lent + handover.filled, sum(os.fstat(region).st_blocks * 512 for region in regions)))
json.dump([len(told), *map(max, zip(*counts))], out)
"""


def test_what_waits_is_bounded_and_memory_is_given_back() -> None:
    """A reader is quick for a while, then slow, again and again."""
    done = subprocess.run(
        [sys.executable, "-c", FILLING],
        capture_output=True,
        text=True,
        check=True,
        timeout=COMMAND_SECONDS,
        cwd=CAPTURES.parent,
    )
    times, waiting, held = json.loads(done.stdout)
    assert times > 50
    assert MOST_WAITING < waiting <= MOST_WAITING + LEAST_FILLED + 2 * SLACK_BYTES
    assert held <= MOST_WAITING + LEAST_FILLED + 2 * SLACK_BYTES + USUAL_BYTES
