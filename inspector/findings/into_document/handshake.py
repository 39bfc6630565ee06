"""From the case to the document's handshakes, as ``document.handshake`` has them: the first one of a connection and its
renegotiations. No judgement is made here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal, NamedTuple

from inspector import bounds, document as doc
from inspector.facts import EVENT_BYTES, LETTER_AT, SIDE_AT, ConnectionFacts, HandshakeFacts, event_frame
from inspector.findings.case import Case, frame, frames
from inspector.findings.inside import ended, studied
from inspector.findings.judgement import Judgement
from inspector.findings.reasons import kind_words, rule_words
from inspector.tls.extensions import AnswerShape, HelloShape
from inspector.tls.history import Letter
from inspector.tls.registry import cipher_name, is_grease, version_name
from inspector.tracking.kinds import Kind
from inspector.tracking.observed import Observed

ENCRYPTED_HANDSHAKE = Letter.ENCRYPTED_HANDSHAKE.byte[0]
NOT_READ = HandshakeFacts()
Visibility = Literal["clear", "decrypted", "encrypted", "lost"]


@lru_cache(maxsize=bounds.CACHE)
def _hex(digest: bytes) -> str:
    return digest.hex()


class Hellos(NamedTuple):
    """What the shapes of both hellos say; the same for many connections."""

    server_name: str | None
    alpn: str | None
    alpn_offered: list[str]
    version: str | None
    cipher: doc.Cipher | None
    client_version: str | None
    versions_offered: list[str]
    ems: doc.Negotiated
    secure_renegotiation: doc.Negotiated
    ja3: str | None
    ja3s: str | None
    ja4: str | None


_hellos: dict[tuple[bytes, bytes], Hellos] = {}


def _shapes(offer: HelloShape | None, answer: AnswerShape | None) -> Hellos:
    key = (offer.key if offer is not None else b"", answer.key if answer is not None else b"")
    known = _hellos.get(key)
    if known is None:
        if len(_hellos) >= bounds.CACHE:
            _hellos.clear()
        known = _hellos[key] = Hellos(
            server_name=offer.server_name.decode("utf-8", "backslashreplace")
            if offer is not None and offer.server_name is not None
            else None,
            alpn=answer.alpn.decode("utf-8", "backslashreplace")
            if answer is not None and answer.alpn is not None
            else None,
            alpn_offered=[p.decode("utf-8", "backslashreplace") for p in offer.alpn] if offer is not None else [],
            version=version_name(answer.version) if answer is not None else None,
            cipher=doc.Cipher(answer.cipher_suite, cipher_name(answer.cipher_suite)) if answer is not None else None,
            client_version=version_name(offer.legacy_version) if offer is not None else None,
            versions_offered=[version_name(v) or f"0x{v:04x}" for v in offer.versions if not is_grease(v)]
            if offer is not None
            else [],
            ems=doc.Negotiated(
                _has_extension(offer, "extended_master_secret"), _has_extension(answer, "extended_master_secret")
            ),
            secure_renegotiation=doc.Negotiated(
                _has_extension(offer, "secure_renegotiation"), _has_extension(answer, "secure_renegotiation")
            ),
            ja3=(offer.ja3 or None) if offer is not None else None,
            ja3s=(answer.ja3s or None) if answer is not None else None,
            ja4=(offer.ja4 or None) if offer is not None else None,
        )
    return known


def _has_extension(
    shape: HelloShape | AnswerShape | None, extension: Literal["extended_master_secret", "secure_renegotiation"]
) -> bool | None:
    """Whether a hello has an extension; None where it was not read to its end, and it was not found before."""
    if shape is None:
        return None
    return getattr(shape, extension) or (None if shape.partial else False)


def handshake(case: Case, observed: Observed, client_leg: ConnectionFacts) -> doc.Handshake:
    """The first handshake of a connection."""
    h = client_leg.handshake
    visibility: Visibility = "clear" if h.offer is not None or h.answer is not None else "lost"
    return _as_handshake(
        h=h,
        visibility=visibility,
        kind=observed.kind,
        reason=kind_words(observed.reason, h),
        declined=observed.declined,
        finished=_finished(client_leg.events),
        jsse=jsse(case.judgements[observed.index]),
    )


@lru_cache(maxsize=4096)
def jsse(judgement: Judgement, *, is_inside: bool = False) -> doc.Jsse:
    """What Java's rule says of a handshake, or of a renegotiation inside."""
    decision, cached, identity = judgement
    reason = rule_words(decision.reason, is_inside=is_inside)
    return doc.Jsse(decision.verdict, decision.row, reason, cached.hex() if cached else None, identity)


def _as_handshake(
    h: HandshakeFacts,
    visibility: Visibility,
    kind: Kind | None,
    reason: str,
    declined: bool,
    finished: int,
    jsse: doc.Jsse,
    inner: doc.Inside | None = None,
) -> doc.Handshake:
    """A handshake that was read. ``inner``: what is known of it as a renegotiation."""
    offer, answer = h.offer, h.answer
    hellos = _shapes(offer, answer)
    answered = answer is not None and not (h.retried and h.server_random == b"")
    return doc.Handshake(
        renegotiation=inner is not None,
        visibility=visibility,
        kind=kind,
        reason=reason,
        declined=declined,
        version=hellos.version,
        cipher=hellos.cipher,
        server_name=hellos.server_name,
        alpn=h.alpn.decode("utf-8", "backslashreplace") if h.alpn is not None else hellos.alpn,
        alpn_offered=hellos.alpn_offered,
        client_random=h.client_random.hex() if offer is not None else None,
        server_random=h.server_random.hex() if answered else None,
        client_version=hellos.client_version,
        versions_offered=hellos.versions_offered,
        session=_session_fields(h, offer, answer),
        ems=hellos.ems,
        secure_renegotiation=hellos.secure_renegotiation,
        server_chain=[_hex(d) for d in h.chain],
        client_chain=[_hex(d) for d in h.client_chain],
        ja3=hellos.ja3,
        ja3s=hellos.ja3s,
        ja4=hellos.ja4,
        frames=doc.Frames(
            frame(h.hello_frame),
            frame(h.answer_frame),
            frame(h.certificate_frame),
            frame(h.key_exchange_frame),
            frame(finished),
        ),
        jsse=jsse,
        authorities=_hex(h.authorities) if h.authorities else None,
        inside=inner,
    )


def _finished(events: bytes) -> int:
    """The frame of the client's first encrypted handshake record, its Finished; 0 where there is none."""
    at = first_finished(events[LETTER_AT::EVENT_BYTES], events[SIDE_AT::EVENT_BYTES])
    return event_frame(events, at) if at >= 0 else 0


@lru_cache(maxsize=4096)
def first_finished(letters: bytes, sides: bytes) -> int:
    """Which event is the client's first encrypted handshake record, by the letters and sides of all; -1 for none."""
    return next(
        (
            i
            for i, (letter, side) in enumerate(zip(letters, sides, strict=True))
            if side and letter == ENCRYPTED_HANDSHAKE
        ),
        -1,
    )


def _session_fields(h: HandshakeFacts, offer: HelloShape | None, answer: AnswerShape | None) -> doc.SessionFields:
    return doc.SessionFields(
        offered_id=h.offered_id.hex() if offer is not None else None,
        answered_id=h.answered_id.hex() if answer is not None else None,
        offered_ticket=h.offered_ticket.hex() if h.offered_ticket else None,
        issued_ticket=h.issued_ticket.hex() if h.issued_ticket else None,
        offered_psks=[p.hex() for p in h.offered_psks] if offer is not None else None,
        accepted_psk=answer.accepted_psk if answer is not None else None,
        issued_tickets=[ticket.hex() for ticket in issued_tickets(h)],
    )


def issued_tickets(h: HandshakeFacts) -> tuple[bytes, ...]:
    """All of a handshake, by digest."""
    return h.issued_tickets or ((h.issued_ticket,) if h.issued_ticket else ())


def renegotiation(case: Case, observed: Observed, client_leg: ConnectionFacts, number: int) -> doc.Handshake:
    """One renegotiation of a connection."""
    attempt = observed.renegotiations[number]
    study = studied(case, observed, number)
    inner = doc.Inside(
        began_by="server" if attempt.asked_by_server else "client",
        state=attempt.state,
        by=attempt.by,
        shape=attempt.shape,
        certificate=study.certificate,
        basis=study.basis,
        text=study.text,
        lengths=[doc.MessageLength(p.name, p.first, p.expected, p.now) for p in study.parts],
        frames=frames(*(record.frame for record in attempt.records), attempt.ended),
    )
    if attempt.handshake_index >= 0:
        h = client_leg.renegotiations[attempt.handshake_index]
        declined = (
            attempt.kind == "full"
            and attempt.entry.session is not None
            and bool(h.offered_ticket or attempt.entry.known)
        )
        inner_handshake = _as_handshake(
            h=h,
            inner=inner,
            visibility="decrypted",
            kind=attempt.kind,
            reason=kind_words(attempt.reason, h) if attempt.reason is not None else "",
            declined=declined,
            finished=attempt.finished,
            jsse=jsse(study.judgement, is_inside=True),
        )
    else:
        inner_handshake = _as_handshake(
            h=NOT_READ,
            inner=inner,
            visibility="encrypted",
            kind=None,
            reason=f"encrypted; {ended(attempt)}",
            declined=False,
            finished=0,
            jsse=jsse(study.judgement, is_inside=True),
        )
        answer = client_leg.handshake.answer
        inner_handshake.version = version_name(answer.version) if answer is not None else None
        inner_handshake.frames.client_hello = frame(attempt.hello.frame) if attempt.hello is not None else None
        inner_handshake.frames.server_hello = frame(attempt.flight[0].frame) if attempt.flight else None
    return inner_handshake
