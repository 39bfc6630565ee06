"""Names of files that a capture program, or whoever tidies up after it, wrote one after the other: what they have in
common.

Rotation adds a counter or a time: tcpdump ``-C`` a number behind the name, ``-G`` what strftime makes of it, ``-W``
digits with leading zeros (tcpdump(8)); dumpcap ``-b`` ``_00001_20261128101500`` before the suffix (dumpcap(1));
logrotate ``.1``, ``.2.gz`` or ``-20261128`` behind all (logrotate(8)). Others make a folder for each day or hour.
"""

from __future__ import annotations

import re

COMPRESSED = re.compile(r"\.(?:gz|zst|xz|bz2)$", re.IGNORECASE)
BEHIND = re.compile(r"(?<=[a-z])\d*(?:[-_.]\d+)*$", re.IGNORECASE)
"""What is added behind a suffix."""

SUFFIX = re.compile(r"\.(?:pcap|pcapng|cap|dmp|trc|ntar)$", re.IGNORECASE)
"""What names of captures end in (pcap-savefile)."""

ROTATION = re.compile(r"(?:(?:^\d+|[-_.:]\d+|\d{8,})(?:[-_.:+]\d+|(?<=\d)T\d+)*|\d+)Z?$")
"""A counter or a time, with its zone, at the end of a name."""

DAY = r"(?:19|20)\d\d(?:[-_.]?(?:0[1-9]|1[0-2]))(?:[-_.]?(?:0[1-9]|[12]\d|3[01]))"
TIME_FOLDER = re.compile(rf"{DAY}(?:[-_.T]?\d\d(?:[-_.:h]?\d\d)*)?Z?$")
"""A folder for a day, or a part of one."""

PART_FOLDER = re.compile(r"\d\d$")
"""Below such a folder, or one of a year: a month, a day, an hour."""

YEAR_FOLDER = re.compile(r"(?:19|20)\d\d$")
COUNTERS = re.compile(r"[^\dT]?(?:T?\d+)Z?|.", re.DOTALL)
"""What ROTATION finds, counter by counter."""

NAME_MAX = 255
"""No file has a longer name, nor did rotation write it; whoever made facts may claim one."""


def sequence_name(path: str) -> tuple[str, str]:
    """The folder of a capture, and its name, without what rotation added to either."""
    folder, _, name = path.rpartition("/")
    if max(map(len, path.split("/"))) > NAME_MAX:
        return folder, name
    root = _without_times(folder)
    return root, ROTATION.sub("", _stem(name)) or root.rpartition("/")[2] or "captures"


def sequence_names(path: str) -> list[tuple[str, str]]:
    """What a capture may have in common with the others of its sequence: its name without all that rotation may have
    added, then with one counter more each time, for ``web-1_00001`` and ``web-2_00001`` may be of two hosts; at last
    its own.
    """
    folder, _, name = path.rpartition("/")
    shortest = sequence_name(path)
    names = [shortest]
    if len(name) <= NAME_MAX:
        stem = _stem(name)
        end = len(ROTATION.sub("", stem))
        for counter in COUNTERS.findall(stem[end:]):
            end += len(counter)
            names.append((shortest[0], stem[:end]))
    return [*dict.fromkeys([*names, (folder, name)])]


def _stem(name: str) -> str:
    """A name without what is added behind a suffix, and without that."""
    stem = COMPRESSED.sub("", name)
    without = COMPRESSED.sub("", BEHIND.sub("", stem))
    return SUFFIX.sub("", without if SUFFIX.search(without) else stem)


def _without_times(folder: str) -> str:
    """A folder without those for times at its end."""
    parts = folder.split("/")
    end = len(parts)
    while end > 1 and PART_FOLDER.match(parts[end - 1]):
        end -= 1
    last = parts[end - 1]
    if TIME_FOLDER.match(last) or (end < len(parts) and YEAR_FOLDER.match(last)):
        return "/".join(parts[: end - 1])
    return folder
