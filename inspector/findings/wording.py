"""Notices in words: one row for each kind, so that a word is changed once."""

from __future__ import annotations

from collections.abc import Mapping

from inspector.bounds import CACHE as COUNTED
from inspector.errors import bounds, captures, decryption, logs, secrets
from inspector.errors.internal import InternalError
from inspector.errors.notice import Earlier, Moment, Notice, field_types
from inspector.text.times import rfc3339
from inspector.tls import anomalies
from inspector.tls.anomalies import MISTAKES, VersionTaken
from inspector.tls.history import NAMES
from inspector.tls.registry import cipher_name, message_name

LEFT_OUT = "…"
"""In place of words that are not ours and were left out."""

NOT_READ: Mapping[type[Notice], str] = {
    captures.InputUnreadable: "a file could not be read",
    captures.PacketsNotRead: "the packets could not be read once more",
}
"""What is said where an error's own words, which are all of it, were left out."""

WORDS: Mapping[type[Notice], str] = {
    captures.FrameTooLong: "frame {frame} claims {claimed} bytes; the rest of the file is not read",
    captures.BlockTooLong: "a block of {claimed} bytes behind frame {frame}; the rest of the file is not read",
    captures.EndsInFrame: "the file ends inside frame {frame}",
    captures.EndsInBlock: "the file ends inside a block behind frame {frame}",
    captures.ReadingStopped: "reading stopped behind frame {frame}: {reason}",
    captures.StampsTooLate: (
        "the stamp of frame {frame}, and perhaps of others, is later than February 2116, where it was cut"
    ),
    captures.InputUnreadable: "{message}",
    captures.FactsWithoutPackets: "what was read are facts, which hold none",
    captures.NotExtracted: "{path}: not extracted, or not all of it, though that was tried {tries} times: {reason}",
    captures.PacketsNotRead: "{message}",
    captures.PartUnfinished: "{path}: part {part} was not written to its end, and is not read",
    captures.PartAltered: "{path}: part {part} is not as it was written, and is not read: {what}",
    captures.PartOfOtherSchema: (
        "{path}: part {part} is of schema {schema}, which this version does not read: it reads {read}"
    ),
    Earlier: "{text}",
    bounds.FlowsClosedEarly: "{count} flows were closed early because more than {most} were open at once",
    InternalError: (
        "a mistake of this program ({where}) kept it from taking in what it should, times: {count:,}; what it was about"
        " is not in the analysis; please report it with the place"
    ),
    bounds.AuthoritiesNotKept: (
        "lists of client certificate authorities of which the names were not kept, for there are too many: {count}"
    ),
    bounds.CertificatesNotKept: (
        "certificates of which nothing but the digest was kept, for there are too many, or they are too large: {count}"
    ),
    bounds.HellosNotKept: (
        "kinds of hellos that were not kept, for there are too many, or they are too large: {count}; of their"
        " connections what they offered and chose is not known"
    ),
    bounds.ServicesNotJudged: (
        "services with the fewest connections that were not judged, for there are too many: {count:,}, with"
        " {connections:,} connections; --vip looks at one of them"
    ),
    bounds.ConnectionsForgotten: "{count} older connections were forgotten, so that memory stays bounded",
    bounds.ConnectionsInJournal: (
        "{count} older connections were forgotten, so that memory stays bounded, and can be found in the journal"
    ),
    bounds.JournalLost: "the journal {path} lost {times} times what was written to it",
    bounds.JournalNotWritten: "{path}: the journal is not written: {reason}",
    bounds.JournalNotRead: "{path}: what was kept before cannot be read: {reason}",
    bounds.JournalSetAside: "{path}: a new journal is begun, for the old one is set aside as {other}: {reason}",
    bounds.JournalUnsettled: (
        "{path}: what was written last stands here and cannot be read without the right to write to its directory"
    ),
    bounds.FramesNotWritten: "{path}: frames are not written: {reason}",
    bounds.PacketsLeft: "reading stopped behind packet {most:,}, as was asked; the others were not read",
    bounds.ClockSet: "this machine's clock was set {direction} by {seconds:.1f} s at {at}",
    logs.LogUnreadable: "cannot be read: {reason}",
    logs.LogUnreadableBehind: "cannot be read behind line {line:,}: {reason}",
    logs.LogIsSilent: "is a pipe that gave nothing for {seconds} seconds",
    logs.LogIsDevice: "is a device, no log",
    logs.LogIsSocket: "is a socket, no log",
    logs.LogIsEmpty: "is empty",
    logs.LogIsBinary: "is no text",
    logs.LogFormUnknown: "is of no known format: neither puppetserver.log nor a log of HAProxy",
    logs.TooManyConnections: "more than {most:,} connections; the first of them are used",
    logs.TooManyFailures: "more than {most:,} failures; the first of them are used",
    logs.LogNoLongerRead: "cannot be read any more: {reason}",
    logs.LogWriterGone: "its writer has gone",
    logs.LogRotatedAway: (
        "was rotated, and the new file cannot be read: {reason}; what is logged from now on is not seen"
        " (user {user} needs to read it, or start anew)"
    ),
    secrets.LineTooLong: "too long",
    secrets.NotHexadecimal: "not LABEL RANDOM SECRET in hexadecimal",
    secrets.WrongLengths: "{label} of {name} and {secret} bytes",
    secrets.NoKeyLogLines: (
        "{path}: {count} of {lines} lines are none of a key log; the first is line {first} ({reason})"
    ),
    secrets.KeyLogNotRead: "{path}: cannot be read any more: {reason}",
    secrets.TooManySecrets: "{path}: more than {most:,} secrets; later ones are not kept",
    secrets.SecretsBlocksNotRead: (
        "{path}: {count:,} decryption secrets blocks were not read to their end: they are too large, or hold no key log"
    ),
    decryption.NoSecret: "no secret for this connection",
    decryption.NoLabel: "no {label} for this connection",
    decryption.SecretDoesNotFit: "the secret does not open its records",
    decryption.BytesMissing: "bytes are missing",
    decryption.SecretTooLate: "its secret did not come in time",
    decryption.CipherSuiteNotOpened: "{cipher_suite} cannot be opened",
    decryption.VersionNotOpened: "this version cannot be opened",
    decryption.ClientHelloMissing: "its ClientHello was not captured",
    decryption.ServerHelloMissing: "its ServerHello was not captured",
    decryption.MessageTooLong: "a handshake message of {length:,} bytes",
    decryption.NotKeyTransport: ("a server's key does not open {cipher_suite}: its key exchange is not RSA encryption"),
    decryption.NoServerKey: "no server key belongs to its certificate",
    decryption.ServerKeyDoesNotFit: "the server key does not decrypt its ClientKeyExchange",
    **MISTAKES,
    anomalies.EventsNotKept: "more than {most} messages and records: later ones are not kept",
    anomalies.MessageTypeUnknown: "a handshake message of type {message_type}",
    anomalies.MalformedMessage: "{message}: {mistake}",
    anomalies.MalformedSslv2Hello: "SSLv2 ClientHello: {mistake}",
    anomalies.ImplausibleLength: "a handshake message of {length} bytes",
    anomalies.RecordVersion: "the first record is of version 0x03{minor:02x}",
    anomalies.NoRecord: "bytes that are no TLS record",
    anomalies.ConflictingSegments: "{length} byte{s} came in two versions, first {first}, then {second}: {which}",
    anomalies.UrgentData: "urgent data, of which receivers leave a byte out, or do not; it was read whole",
    anomalies.OutOfOrder: "{message} where the {side} stands at {state}",
}
"""By kind; in braces the fields, and what ``_values`` adds to them."""

WHICH_TAKEN: Mapping[VersionTaken, str] = {
    VersionTaken.ACKNOWLEDGED: "the receiver had acknowledged the first, which was read",
    VersionTaken.FIRST: "the checksum of the second is wrong; the first was taken, and read",
    VersionTaken.SECOND: "the checksum of the first is wrong, which was read; the second was taken",
    VersionTaken.UNKNOWN: "which one the receiver took cannot be told; the first was read",
}
"""Which version of some bytes a receiver took."""


def worded(notice: Notice | str | None) -> str:
    """A notice in words; empty where there is none. A text of an earlier version's journal is as it is. What others
    wrote stands in it as they wrote it: it is escaped where it is shown, as everything is.
    """
    if notice is None or isinstance(notice, str):
        return notice or ""
    if isinstance(notice, captures.InputUnreadable | captures.PacketsNotRead) and not notice.message:
        return NOT_READ[type(notice)]
    return WORDS[type(notice)].format(**_values(notice))


def _values(notice: Notice) -> dict[str, object]:
    values = {name: _value(notice, name, kind) for name, kind in field_types(type(notice)).items()}
    if isinstance(notice, anomalies.MalformedMessage):
        values["message"] = message_name(notice.message_type)
    elif isinstance(notice, anomalies.ConflictingSegments):
        values |= {"s": "s" if notice.length > 1 else "", "which": WHICH_TAKEN[notice.version_taken]}
    elif isinstance(notice, bounds.CertificatesNotKept | bounds.AuthoritiesNotKept | bounds.HellosNotKept):
        values["count"] = f"{notice.count} or more" if notice.count >= COUNTED else notice.count
    elif isinstance(notice, anomalies.OutOfOrder):
        values |= {"message": NAMES[notice.message], "side": "client" if notice.from_client else "server"}
    return values


def _value(notice: Notice, name: str, kind: object) -> object:
    value = getattr(notice, name)
    if isinstance(value, Notice):
        return worded(value)
    if isinstance(notice, captures.NotExtracted) and name == "reason" and not value:
        return "whoever read it ended, maybe for want of memory"
    if name == "cipher_suite":
        return cipher_name(value)
    if kind is Moment:
        return rfc3339(value)
    return LEFT_OUT if value == "" else value
