"""Which captures go by one clock: what names say of that holds only where times allow it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest

from inspector.capture.frames import CaptureInfo
from inspector.capture.rotation import sequence_names
from inspector.extract.engine import capture_facts
from inspector.extract.processes import extract
from inspector.facts import CaptureFacts, Facts
from inspector.redaction.certificates import Remaker
from inspector.redaction.disguise import Disguise
from inspector.redaction.facts import redacted_facts
from inspector.text.times import rfc3339
from inspector.tracking.shared_clocks import by_clock
from inspector.wire.losses import Losses
from tests.build import START_NS, Pool, certificate, numbered
from tests.cuts import SECOND, Frame, later
from tests.test_hosts import part_of
from tests.two_hosts import as_document, as_frames, clocks_of, pieces, two_hosts

Hour = tuple[float, float]


def captured(path: str, span: Hour | None, host: str = "", extracted_on: str = "") -> CaptureFacts:
    capture = capture_facts(CaptureInfo(path), Losses())
    capture.host, capture.extracted_on = host, extracted_on
    if span is not None:
        capture.first_ns, capture.last_ns = (START_NS + int(seconds * SECOND) for seconds in span)
    return capture


def clocks(*captures: CaptureFacts) -> list[list[str]]:
    return sorted(sorted(captures[index].path for index in group) for group in by_clock(captures))


@pytest.mark.parametrize("path", ["web-1.pcap", "a/web-1_00001_20261129101500.pcapng.gz", "web1.pcap.2.gz", "9.pcap"])
def test_names_grow_by_a_counter(path: str) -> None:
    folder, _, name = path.rpartition("/")
    names = sequence_names(path)
    assert names[-1] == (folder, name)
    assert all(len(shorter) < len(longer) for (_, shorter), (_, longer) in pairwise(names[1:]))
    assert len({*names}) == len(names)


def test_a_host_may_stand_before_a_counter() -> None:
    assert [name for _, name in sequence_names("/cap/web-1_00002.pcap")] == [
        "web",
        "web-1",
        "web-1_00002",
        "web-1_00002.pcap",
    ]


@pytest.mark.parametrize("name", ["web-07 (copy).pcap", "web-07.pcap.1", "web-99.pcap", "by-hand.pcap"])
@pytest.mark.parametrize("span", [(360, 420), (380, 400), (-5, 30), (410, 440)])
def test_a_few_that_overlap_leave_the_others_together(name: str, span: Hour) -> None:
    """A file that was copied, one that somebody captured beside, one of which a frame came minutes late."""
    files = [captured(f"web-{number:02}.pcap", (60 * number, 60 * number + 60)) for number in range(12)]
    groups = clocks(*files, captured(name, span))
    together = max(groups, key=len)
    assert len(together) >= 10
    assert name not in together


def test_a_few_of_another_host_are_not_of_the_clock_of_many() -> None:
    """Whichever are the longer ones."""
    ours = [captured(f"web-{number:02}.pcap", (60 * number, 60 * number + 60)) for number in range(20)]
    theirs = [captured(f"web-{77 + n}.pcap", (130 + 300 * n, 150 + 300 * n)) for n in range(2)]
    groups = clocks(*ours, *theirs)
    assert ["web-77.pcap"] in groups
    assert ["web-78.pcap"] in groups
    assert max(map(len, groups)) == 18


def test_two_hosts_of_which_each_other_capture_overlaps_are_no_sequence() -> None:
    files = [captured(f"web-{number:02}.pcap", (40 * number, 40 * number + 60)) for number in range(20)]
    assert len(clocks(*files)) == 20


@pytest.mark.parametrize("reach", [0, 0.9, -3])
def test_files_one_after_the_other_are_of_one_clock(reach: float) -> None:
    """They reach into each other by frames that came late, or there is nothing between them."""
    names = [f"web-{number}.pcap" for number in range(1, 4)]
    files = [captured(name, (60 * n, 60 * n + 60 + reach)) for n, name in enumerate(names)]
    assert clocks(*files, captured("web-4.pcap", None)) == [[*names, "web-4.pcap"]]


@pytest.mark.parametrize("other", [(0, 60), (30, 90), (58, 120), (20, 20), (-30, 200)])
def test_files_at_the_same_time_are_not(other: Hour) -> None:
    assert clocks(captured("web-1.pcap", (0, 60)), captured("web-2.pcap", other)) == [["web-1.pcap"], ["web-2.pcap"]]


def test_captures_of_less_than_a_second() -> None:
    assert len(clocks(captured("web-1.pcap", (0, 0.5)), captured("web-2.pcap", (0, 0.4)))) == 2
    assert len(clocks(captured("web-1.pcap", (0, 0.5)), captured("web-2.pcap", (0.49, 0.9)))) == 1


@pytest.mark.parametrize(
    "form", ["web-{}_{:05}.pcap", "web{}-{:02}.pcap", "2026-11-{1:02}/web{0}.pcap", "web{}.pcap.{}"]
)
def test_rotated_sets_of_two_hosts_at_the_same_time(form: str) -> None:
    sets = [[form.format(host, number) for number in range(1, 5)] for host in (1, 2)]
    files = [captured(name, (60 * n, 60 * n + 60)) for names in sets for n, name in enumerate(names)]
    assert clocks(*files) == sorted(sorted(names) for names in sets)


def test_one_name_in_several_parts() -> None:
    """The same command on each host, and one host that extracts what all of them captured."""
    days = [captured("lb.pcap", (86_400 * n, 86_400 * n + 3_600), extracted_on="central") for n in range(3)]
    assert clocks(*days) == [["lb.pcap"] * 3]
    assert clocks(*days, captured("lb.pcap", (60, 120), extracted_on="central")) == [["lb.pcap"]] * 4
    elsewhere = captured("lb.pcap", (86_400, 86_460), extracted_on="edge")
    assert clocks(*days, elsewhere) == [["lb.pcap"], ["lb.pcap"] * 3]


def test_where_facts_were_extracted_is_not_where_captures_were_made() -> None:
    """Merged with others they go by the name of where they were extracted, which proves no more than before."""
    front, behind = (captured(name, (0, 60), "central", "central") for name in ("front.pcap", "behind.pcap"))
    assert len(by_clock([front, behind])) == 2
    later_one = captured("behind.pcap", (60, 120), "central", "central")
    assert len(by_clock([front, later_one])) == 1, "of one host, as nothing speaks against it"


def test_a_host_that_somebody_named_has_one_clock() -> None:
    """Two interfaces, and the journal of a watch."""
    captures = [captured(name, (0, 60), "edge") for name in ("eth0.pcap", "eth1.pcap", "eth0")]
    assert len(by_clock(captures)) == 1


def test_a_clock_that_was_set_back_in_a_file() -> None:
    """Its times are put right, and reach into the next file."""
    first, second = captured("lb-1.pcap", (0, 160)), captured("lb-2.pcap", (60, 120))
    first.steps = ((7, 100 * SECOND),)
    assert len(by_clock([first, second])) == 1


def test_captures_of_many_counters_and_one_time() -> None:
    names = ["-1" * 120 + f"-{number}.pcap" for number in range(300)]
    assert len(by_clock([captured(name, (0, 60)) for name in names])) == len(names)


LATE = 15 * SECOND


def three_hosts() -> tuple[list[Frame], list[Frame], list[Frame]]:
    """Two sides of a balancer, and a host that shares no handshake with them."""
    alone = Pool(port=45_000, client="10.9.0.1", name="other.example.com")
    for number in range(4):
        alone.full(certificate("other", ("other.example.com",)), numbered(900 + number))
        alone.ns += SECOND
    ours, theirs = two_hosts()
    return ours, theirs, as_frames(alone.flows)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("extracted", [False, True])
def test_a_clock_is_not_taken_for_that_of_another_host(tmp_path: Path, count: int, extracted: bool) -> None:
    """``web-1`` is late, and says so by what it shares; what ``web-2`` is late nothing tells."""
    ours, theirs, alone = three_hosts()
    front, late, other = (
        pieces(tmp_path, name, frames, count)
        for name, frames in (("front", ours), ("web-1", later(theirs, LATE)), ("web-2", later(alone, LATE)))
    )
    paths: Sequence[str] = [*front, *late, *other]
    if extracted:
        paths = [part_of("edge", front, tmp_path), part_of("central", [*late, *other], tmp_path)]
    document = as_document(extract(paths))
    said = {Path(c["path"]).name: [clock["ns"] for clock in c["clocks"]] for c in document["captures"]}
    for path in [*front, *late, *other]:
        assert said[Path(path).name] == ([LATE] if path in late else []), path
    own = [c for c in document["connections"] if c["client_endpoint"]["ip"] == "10.9.0.1"]
    assert own[0]["first_seen"] == rfc3339(START_NS + LATE)
    unknown = [limit["text"] for limit in document["limits"] if limit["kind"] == "clock_unknown"]
    assert len(unknown) == int(extracted)
    assert all(path in text for text in unknown for path in other)
    [offset] = [limit["text"] for limit in document["limits"] if limit["kind"] == "clock_offset"]
    assert extracted or offset.startswith(f"{late[0]}{' and 2 more' if count == 3 else ''}: its clock is 15.0 s later")


def test_a_rotated_set_goes_on_by_one_clock(tmp_path: Path) -> None:
    """The same names, one after the other: what the first shares says it of the second as well."""
    ours, theirs, alone = three_hosts()
    begin = theirs[-1].ns - alone[0].ns + SECOND
    front = pieces(tmp_path, "front", ours, 1)
    first = pieces(tmp_path, "web-1", later(theirs, LATE), 1)
    second = pieces(tmp_path, "web-2", later(alone, begin + LATE), 1)
    document = as_document(extract([*front, *first, *second]))
    assert clocks_of(document)["w"] == [(LATE, 200_000, 9)] * 2
    own = [c for c in document["connections"] if c["client_endpoint"]["ip"] == "10.9.0.1"]
    assert own[0]["first_seen"] == rfc3339(START_NS + begin)


def test_redacted_captures_go_by_the_same_clocks() -> None:
    """What is only the name of where facts were extracted proves no more for being replaced."""
    facts = Facts(captures=[captured(name, (0, 60), "central", "central") for name in ("front.pcap", "behind.pcap")])
    facts.captures.append(captured("eth0.pcap", (0, 60), "edge"))
    disguise = Disguise(bytes(32))
    redacted = redacted_facts(facts, disguise, Remaker(disguise))
    assert "central" not in {name for c in redacted.captures for name in (c.host, c.extracted_on)}
    assert by_clock(redacted.captures) == by_clock(facts.captures)
