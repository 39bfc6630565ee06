"""In what the members of a pool differ, in words: the values, the ``about`` of a finding."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice

from inspector.document import About
from inspector.findings.blame import Blame
from inspector.findings.case import Case
from inspector.findings.compared import ComparedPool
from inspector.findings.nameless import value_words as nameless_words
from inspector.findings.requested_authorities import differences, requested
from inspector.pool.attributes import PoolAttribute, Value
from inspector.pool.odd_one import Holder, PoolDifference
from inspector.pool.telltales import Aspect, FlightShape, Telltale
from inspector.text.listing import MOST, listed, more_than
from inspector.text.times import rfc3339, utc_day
from inspector.tls.protection import Extent
from inspector.tls.registry import alert_name, cipher_name, version_name
from inspector.tracking.certificate_names import authority
from inspector.tracking.observed import Observed

MOST_NAMES = 4
"""Names of a certificate, or of a chain, that a value lists."""

CALLED: dict[PoolAttribute, str] = {
    PoolAttribute.CLIENT_AUTHORITIES: "client certificate authorities",
    PoolAttribute.CIPHER: "cipher suite",
    PoolAttribute.GROUP: "key exchange group",
    PoolAttribute.EMS: "EMS",
    PoolAttribute.ALPN: "application protocol (ALPN)",
    PoolAttribute.STAPLING: "OCSP stapling",
    PoolAttribute.RESUMPTION: "issue of sessions",
    PoolAttribute.SNI: "server name (SNI)",
    PoolAttribute.NAMES: "certificate names",
}


def called(attribute: PoolAttribute) -> str:
    """An attribute as a sentence names it."""
    return CALLED.get(attribute, attribute.value)


YES_NO: dict[PoolAttribute, tuple[str, str]] = {
    PoolAttribute.GROUP: ("asks for another group (HelloRetryRequest)", "takes the client's group"),
    PoolAttribute.EMS: ("EMS", "no EMS"),
    PoolAttribute.STAPLING: ("staples", "does not staple"),
    PoolAttribute.RESUMPTION: ("issues sessions", "issues no session"),
    PoolAttribute.VALIDITY: ("valid", "not valid"),
    PoolAttribute.NAMES: ("has the name asked for", "lacks the name asked for"),
}


def value_words(case: Case, attribute: PoolAttribute, value: Value) -> str:
    """One value, as far as it can be said alone."""
    if isinstance(value, bool):
        return YES_NO[attribute][not value] if attribute in YES_NO else "yes" if value else "no"
    if attribute is PoolAttribute.VERSIONS and isinstance(value, int):
        return version_name(value) or f"0x{value:04x}"
    if attribute is PoolAttribute.CIPHER and isinstance(value, int):
        return cipher_name(value)
    if attribute is PoolAttribute.ALPN and isinstance(value, bytes):
        return value.decode("ascii", "backslashreplace") or "none"
    if attribute is PoolAttribute.CHAIN and isinstance(value, tuple):
        names = [case.certificate_name(digest) for digest in value[:MOST_NAMES]]
        return f"{', '.join(names)}{more_than(len(value), MOST_NAMES)}" or "no intermediate certificate"
    return str(value)


def values_in_words(
    case: Case, pool: ComparedPool, difference: PoolDifference, wanted: Iterable[Value] | None = None
) -> dict[Value, str]:
    """The values of a difference, or those that are wanted; lists of authorities only by what not all ask for."""
    values = list(dict.fromkeys(holder.value for holder in difference.holders))
    if difference.attribute is not PoolAttribute.CLIENT_AUTHORITIES:
        return {value: value_words(case, difference.attribute, value) for value in wanted or values}
    extract = pool.extractors[difference.attribute]
    samples: dict[Value | None, Observed] = {}
    for group in pool.groups:
        if group.sample.kind == "full":
            samples.setdefault(extract(group.sample), group.sample)
    words, _ = differences([requested(case, samples[value].client_leg.handshake) for value in values])
    return dict(zip(values, words, strict=True))


def about_difference(pool: ComparedPool, difference: PoolDifference) -> About:
    """The odd one where there is one, else the pool that is mixed: then the first value is the rarest."""
    case = pool.case
    odd = difference.odd[0] if difference.odd else min(difference.holders, key=lambda holder: holder.connections)
    alone = difference.odd_one
    backend = alone.backend if alone is not None else -1
    count, failed = pool.reached(backend) if backend >= 0 else (_showing(difference, odd.value), 0)
    total, all_failed = pool.total
    words, others = _some_words(pool, difference, odd.value)
    return About(
        attribute=difference.attribute,
        backend=case.backends[backend].id if backend >= 0 else None,
        value=words,
        others=others,
        since=rfc3339(odd.since_ns),
        affected=failed,
        reached=count,
        elsewhere_affected=all_failed - failed,
        elsewhere=total - count,
        changed=alone is not None and alone.has_changed,
    )


def _some_words(pool: ComparedPool, difference: PoolDifference, value: Value) -> tuple[str, str]:
    """A value, and what others have: the common one, or as many as a sentence lists."""
    common = difference.common
    values = dict.fromkeys(holder.value for holder in difference.holders)
    others = [common] if common is not None else [other for other in values if other != value]
    words = values_in_words(pool.case, pool, difference, [value, *others[:MOST]])
    return words[value], "; ".join(words[other] for other in others[:MOST]) + more_than(len(others))


def about_member(pool: ComparedPool, attribute: PoolAttribute, backend: int) -> About | None:
    """The difference, where this back end is the odd one in it."""
    difference = pool.difference(attribute)
    alone = difference.odd_one if difference is not None else None
    if difference is None or alone is None or alone.backend != backend or backend < 0:
        return None
    return about_difference(pool, difference)


def _showing(difference: PoolDifference, value: Value) -> int:
    return sum(holder.connections for holder in difference.holders if holder.value == value)


def who(case: Case, holders: Sequence[Holder]) -> str:
    """``A, C``, and how many connections of nobody in particular."""
    names = [case.backends[holder.backend].label for holder in holders if holder.backend >= 0]
    nameless = sum(holder.connections for holder in holders if holder.backend < 0)
    called = [listed(names)] if names else []
    return ", ".join(called + ([f"{nameless} connections" + (" of others" if names else "")] if nameless else []))


def about_failures(pool: ComparedPool, blame: Blame) -> About:
    """What failures go with."""
    case = pool.case
    at_member = blame.at_members
    value, others = _failing_words(pool, blame, at_member)
    if blame.telltales:
        words = [telltale_words(telltale) for telltale in blame.telltales]
        value = "; ".join([value, *(shared for shared, _ in words)])
        others = "; ".join([others, *(other for _, other in words if other)])
    return About(
        attribute=blame.attribute,
        backend=case.backends[blame.backend].id if blame.backend >= 0 else None,
        value=value,
        others=others if blame.elsewhere else "",
        since=rfc3339(at_member[0].first_ns),
        affected=blame.affected,
        reached=blame.reached,
        elsewhere_affected=blame.elsewhere_failed,
        elsewhere=blame.elsewhere,
        changed=_has_changed(pool, blame),
    )


def _has_changed(pool: ComparedPool, blame: Blame) -> bool:
    """Whether all went well at the odd member until the first of the failures, and nothing from then on."""
    if blame.backend < 0:
        return False
    since_ns = blame.at_members[0].hello_ns
    well = [o.hello_ns for o in pool.members if o.backend == blame.backend and o.outcome == "established"]
    return bool(well) and max(well) < since_ns


MOST_SHAPES = 3
"""Values of others that are listed."""


def telltale_words(telltale: Telltale) -> tuple[str, str]:
    """What connections have in common that go with failures, and what the others have there, if anything is known."""
    others = [_aspect_words(telltale.aspect, value) for value in telltale.others]
    more = [f"{len(others) - MOST_SHAPES} more"] if len(others) > MOST_SHAPES else []
    return _aspect_words(telltale.aspect, telltale.value), ", ".join(others[:MOST_SHAPES] + more)


def _aspect_words(aspect: Aspect, value: int | FlightShape) -> str:
    if isinstance(value, FlightShape):
        return (
            f"a flight of {value.records} encrypted record{'s' * (value.records > 1)},"
            f" {Extent(value.shortest, value.longest)} bytes"
        )
    if aspect == "retry":
        return YES_NO[PoolAttribute.GROUP][not value]
    return cipher_name(value) if aspect == "cipher" else version_name(value) or f"0x{value:04x}"


def _failing_words(pool: ComparedPool, blame: Blame, at_member: Sequence[Observed]) -> tuple[str, str]:
    """What is wrong where connections fail, and what others have there."""
    case, attribute, sample = pool.case, blame.attribute, at_member[0]
    if blame.without is not None:
        return nameless_words(case, blame.without), pool.service.name
    certificate = case.certificates.get(sample.leaf or b"")
    difference = pool.difference(attribute)
    if attribute is PoolAttribute.VALIDITY:
        if certificate is None or certificate.not_after is None or certificate.not_before is None:
            return "not valid, says the client", "accepted"
        if sample.first_ns < certificate.not_before:
            return f"valid only from {utc_day(certificate.not_before)}", "valid"
        return f"valid until {utc_day(certificate.not_after)}", "valid"
    if attribute is PoolAttribute.NAMES and certificate is not None:
        names = certificate.identity.dns_names + certificate.identity.ip_addresses or (certificate.common_name,)
        return f"only {', '.join(names[:MOST_NAMES])}", "have the name asked for"
    if attribute in (PoolAttribute.CHAIN, PoolAttribute.CLIENT_AUTHORITIES) and difference is not None:
        words = values_in_words(case, pool, difference)
        holder = next((h for h in difference.holders if h.backend in blame.backends), None) or difference.odd_one
        if holder is not None and difference.common is not None and holder.value != difference.common:
            return words[holder.value], words[difference.common]
        if holder is not None and difference.common is None:
            return _some_words(pool, difference, holder.value)
    if attribute is PoolAttribute.CHAIN and certificate is not None:
        return f"issued by {authority(certificate) or 'a CA without a name'}", "accepted"
    if attribute in (PoolAttribute.PROTOCOL, PoolAttribute.PROXY):
        return f"answers {_quoted(sample)}" if sample.client_leg.from_server.opening else "no TLS", "TLS"
    alert = sample.fatal_alert
    if alert is not None and not alert.from_client and alert.code is not None:
        refusal = f"alert {alert_name(alert.code)} ({alert.code})"
        return refusal, _accepted(pool, attribute)
    if attribute is PoolAttribute.REACHABILITY and sample.closed_by == "client":
        return "no answer", _accepted(pool, attribute)
    return FAILING.get(attribute, "fails"), _accepted(pool, attribute)


FAILING: dict[PoolAttribute, str] = {
    PoolAttribute.REACHABILITY: "closed without an answer",
    PoolAttribute.CLIENT_AUTHORITIES: "refuses the client",
    PoolAttribute.FLIGHT: "a flight that the client rejects",
    PoolAttribute.CERTIFICATE: "a certificate that the client rejects",
    PoolAttribute.VERSIONS: "chooses a version that the client does not allow",
    PoolAttribute.CIPHER: "chooses a suite that the client does not allow",
}


def _accepted(pool: ComparedPool, attribute: PoolAttribute) -> str:
    """What those answered that did not fail."""
    if attribute not in (PoolAttribute.VERSIONS, PoolAttribute.CIPHER, PoolAttribute.ALPN):
        return "answers" if attribute is PoolAttribute.REACHABILITY else "accepted"
    extract = pool.extractors[attribute]
    values = dict.fromkeys(extract(g.sample) for g in pool.groups if g.sample.outcome == "established")
    values.pop(None, None)
    words = [value_words(pool.case, attribute, value) for value in islice(values, MOST) if value is not None]
    return ", ".join(words) + more_than(len(values)) or "accepted"


def _quoted(observed: Observed) -> str:
    """The first bytes of an answer that is no TLS, escaped."""
    return '"' + observed.client_leg.from_server.opening.decode("ascii", "backslashreplace").replace('"', '\\"') + '"'
