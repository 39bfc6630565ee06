"""Every bound of the engine in one place. Reaching one loses detail, never the program, and becomes a limit that is
shown.
"""

from __future__ import annotations

BATCH_BYTES = 8 << 20
"""Bytes of a capture file that become one FrameBatch. More of them makes columns cheaper for each flow, until they do
not fit into the caches.
"""

FRAME_BYTES = 16 << 20
"""A frame that claims to be longer is damage, not a frame (Wireshark allows 256 KiB; offloaded frames reach 190 KB)."""

INTERFACES = 1 << 14
"""Interface descriptions of one section of a pcapng; frames of further ones are not opened."""

DROP_COUNTS = 1 << 12
"""Growths of the number of dropped packets of which is known at which packet of a pcapng they were written; of further
ones the last.
"""

BLOCK_OPTIONS = 256
"""Options of one block of a pcapng that are looked at."""

PROBE_TURNS = 256
"""How often frames of another client of a probe may begin in one capture; as what client it asked later is not told."""

FIRST_FRAME_BYTES = 16 << 20
"""How far into a capture its first frame is looked for when it is opened."""

SEARCH_BYTES = 16 << 10
"""How far into a stream a TLS hello is looked for at any place (PROXY, SOCKS, HTTP CONNECT and STARTTLS stand before
it); behind it, only where a segment
begins with one."""

RESYNC_BYTES = 1 << 20
"""How far behind a gap, or behind a start in mid-stream, the next record is looked for."""

RECORD_BYTES = (1 << 14) + 2048
"""The largest record fragment of TLS 1.2 (RFC 5246, section 6.2.3); TLS 1.3 allows 256 bytes of expansion."""

MESSAGE_BYTES = 1 << 18
"""The largest handshake message that is put together."""

REORDER_BYTES = 1 << 20
"""Bytes of one direction that wait for an earlier segment before the gap is given up."""

REORDER_SEGMENTS = 1024
"""Segments of one direction that wait for an earlier one."""

UNANCHORED_SEGMENTS = 32
"""Segments that wait for the start of a direction whose SYN has not been seen."""

HOLES = 64
"""Gaps inside skipped application data that may still be filled by late segments, per direction."""

CORE_CONNECTIONS = 250_000
"""Packed connections of directories of facts that stay in memory, some 250 MB; more of them go to a file."""

LIVE_SESSIONS = 100_000
"""Sessions of a ledger that is out of core which are in memory all the same, some 30 MB."""

CONTINUED_BYTES = 512 << 20
"""Segments that are kept of one part of a story for whoever follows flows into it; of more, it reads that part
itself.
"""

LAST_FRAMES_BYTES = 16 << 20
"""The last frames of a run of ``extract`` that are kept as they are for the next: of a second, but no more."""

OPEN_FLOWS_BYTES = 256 << 20
"""What one run of ``extract`` keeps of open flows for the next; of more nothing is kept, and they end with the run."""

FRAGMENTS = 1024
"""IP datagrams in reassembly."""

FRAGMENT_BYTES = 16 << 20
"""Bytes that they take."""

COMPARED_BYTES = 8 << 10
"""The first bytes of each direction, which what is sent again is compared with: as much as most handshakes
take.
"""

COMPARED_SEGMENTS = 64
"""Segments that hold them, the last ones."""

COMPARED_NS = 10 * 1_000_000_000
"""How long they are kept (packet time): a sender's first six attempts."""

CONFLICTS = 8
"""Places kept of each direction that two segments hold in different versions."""

UNOPENED = 64
"""Kinds of frames that could not be opened, counted apart for each capture; the rest is counted as one."""

OPENINGS = 1 << 16
"""SYNs and hellos of each of several captures, by which their clocks are compared; of more, some are taken that all
captures agree on.
"""

FLOWS = 20_000
"""Flows that are open at once; beyond it the longest idle ones are closed first. One takes some 5 KB."""

CROWDED = 8 << 10
"""Flows of one batch beyond which its segments are taken in pieces, so that flows are closed between them: no batch of
eight megabytes holds as many, unless most of them come to nothing.
"""

CROWDED_PIECE = 4 << 10
"""Segments of such a piece."""

CROWD_SHARE = 4
"""Flows that may be open divided by this: more are too many for one piece as well."""

SMALLEST_CROWD = 1 << 10
"""But so many are not."""

HALF_OPEN = 1_000_000
"""Flows of which nothing but a SYN, or a SYN and a RST, has come; beyond it the oldest are closed first."""

ADDRESSES = 1 << 16
"""IPv6 addresses that live capture remembers; beyond it those of which no flow is open are forgotten."""

IDLE_NS = 3_600 * 1_000_000_000
"""A flow without a frame for this long (packet time) is closed."""

CLOSED_NS = 1_000_000_000
"""A flow closed by both sides, or reset, takes late segments this long (packet time)."""

APART_NS = 2_000_000_000
"""The same where one side reset it: the other direction's tap may be late (packet time)."""

FACTS_CACHE_BYTES = 512 << 20
"""Facts of captures that were opened, kept in the user's cache."""

EVENTS = 200
"""Ladder events kept per connection."""

ANOMALIES = 8
"""Anomalies kept per connection."""

CACHE = 4096
"""Entries of each cache of repeated hello and certificate messages."""

CACHE_BYTES = 4 << 20
"""Bytes of each of those whose messages may be long."""

LISTED = 512
"""Numbers in one list of a hello: suites, groups, algorithms, extensions. Some 400 suites are registered."""

OFFERED = 64
"""Protocols, and pre-shared key identities, that one hello offers."""

HOST_NAME = 255
"""Bytes of a name in a hello (RFC 1035, section 2.3.4)."""

CHAIN = 64
"""Certificates of one message. Java's clients take no chain of more than ten."""

CERTIFICATES = 100_000
"""Distinct certificates kept; of others the digest alone."""

CERTIFICATE_BYTES = 64 << 20
"""Bytes that they take, with those of their names where they are read."""

LIVE_CERTIFICATE_BYTES = 12 << 20
"""The same in live capture, where those that nothing uses are forgotten long before."""

LIVE_CONNECTION_BYTES = 32 << 20
"""What the connections take that live capture remembers, waiting ones with them: beyond it the oldest are forgotten."""

READ_CERTIFICATE_BYTES = 1_200
"""What a certificate takes in memory that was read, beside its texts and its alternative names."""

READ_BYTES = 64 << 20
"""What certificates take that are remembered as read; beyond it they are read again when they are asked for."""

LIVE_READ_BYTES = 8 << 20
"""The same in live capture."""

NAME_BYTES = 100
"""What one alternative name takes in memory at most, beside the few bytes that it stands in."""

READ_NAME_BYTES = 60
"""What one takes in memory beside its text."""

SHAPES = 50_000
"""Distinct shapes of ClientHellos kept, and as many of ServerHellos."""

SHAPES_BYTES = 48 << 20
"""Bytes that each of the two may take."""

LIVE_SHAPES_BYTES = 6 << 20
"""The same in live capture, where those that nothing uses are forgotten long before."""

SERVICES = 4096
"""Services that are judged, by what clients name; of more those with the most connections. One takes some 8 KB of the
analysis, and half a millisecond.
"""

LIVE_SERVICES = 2048
"""The same in live capture."""

AUTHORITY_LISTS = 1_000
"""Distinct lists of authorities that CertificateRequests name, kept; of others the digest alone."""

AUTHORITY_BYTES = 8 << 20
"""Bytes that they take; one has 64 KiB at most (RFC 5246, section 7.4.4)."""

AUTHORITIES = 1_000
"""Names read of one list; the rest is counted. Public trust stores hold some 150."""

AUTHORITY_NAME = 300
"""Characters of one name."""

RACE_NS = 1_000_000
"""Below this distance between a ServerHello and a ClientHello the capture cannot tell which the client built or read
first.
"""

LATEST_NS = 1 << 62
"""The latest time that is kept, in February 2116: of two such times the sum still fits 64 bits. A stamp beyond it is
damaged.
"""

LEG_NS = 10 * 1_000_000_000
"""Two ClientHellos of one random, to which no equal ServerHello is known, are a replay and not legs of one connection
where they are further apart than this.
"""

SECRETS = 2_000_000
"""Secrets kept from key logs and captures; as many sessions whose master secret is known."""

LIVE_SECRETS = 100_000
"""The same while key logs grow: the oldest are forgotten."""

SECRETS_WAITING = 16 << 20
"""Bytes of decryption secrets blocks of one capture that were read and not yet taken."""

SECRETS_BYTES = 32 << 20
"""Bytes of such blocks of all captures that are read; 190,000 connections of TLS 1.2 need as much."""

IDLE_LINES = 10_000
"""Lines of a capture's secrets that open nothing, so many and as many as ten for each that does: what comes then is no
key log.
"""

HELD_BYTES = 64 << 10
"""Encrypted records of one direction that wait for a secret or for the other direction."""

HELD_ALTOGETHER = 32 << 20
"""The same of all connections together, with what each record takes beside its bytes."""

HELD_RECORD_BYTES = 256
"""So much: a record of no bytes, or one that was passed over, takes it too."""

POST_HANDSHAKE_BYTES = 8192
"""TLS 1.3: a longer record of an established connection is taken for application data without a look at
its inner type.
"""
