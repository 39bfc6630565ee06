"""Subject alternative names (RFC 5280, section 4.2.1.6) as Java reads them: all, or none.

Java compares DNS names and addresses, but ``sun.security.x509.GeneralNames`` gives up on the whole extension where it
cannot read one name of it, of whatever kind: a URI without a scheme is enough, and the certificate has no alternative
names then (``X509CertImpl.getSubjectAlternativeNames`` throws, and
``CertificateMessage.isIdentityEquivalent`` goes on without). What it accepts is laxer than the standards elsewhere: DNS
names are any bytes.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv6Address
from typing import NamedTuple

from inspector.tls.x509 import der
from inspector.tls.x509.distinguished_names import read_name

OTHER, EMAIL, DNS, X400, DIRECTORY, EDI_PARTY, URI, IP_ADDRESS, REGISTERED = range(9)
CONSTRUCTED_KINDS = (OTHER, X400, DIRECTORY, EDI_PARTY)
LABELS = (
    "otherName",
    "e-mail",
    "DNS",
    "x400Address",
    "directoryName",
    "ediPartyName",
    "URI",
    "IP address",
    "registeredID",
)


DNS_TAG, ADDRESS_TAG = der.CONTEXT | DNS, der.CONTEXT | IP_ADDRESS
IPV4_BYTES = 4
MOST_WRITTEN = 100
"""E-mail addresses and URIs that are kept, of each."""


class GeneralName(NamedTuple):
    """``kind``: the number of the choice. ``text``: of addresses as Java has them, of e-mail addresses and URIs as they
    are written; of others empty.
    """

    kind: int
    text: str
    is_read: bool
    """Whether Java reads it."""


class AlternativeNames(NamedTuple):
    """``others``: the labels of further kinds. ``flaw``: the first kind that Java cannot read, or ``names`` where it is
    the whole; None where it reads all. ``emails``, ``uris``: of these those that it reads.
    """

    dns: tuple[str, ...]
    ips: tuple[str, ...]
    others: tuple[str, ...]
    flaw: str | None
    emails: tuple[str, ...] = ()
    uris: tuple[str, ...] = ()


NO_NAMES = AlternativeNames((), (), (), None)


def read_alternative_names(content: bytes) -> AlternativeNames:
    """The names of the extension's value. Raises nothing."""
    try:
        whole, rest = der.first(content)
        encoded = der.several(der.of_tag(whole, der.SEQUENCE))
    except der.DerError:
        return NO_NAMES._replace(flaw="names")
    dns: list[str] = []
    ips: list[str] = []
    others: dict[str, None] = {}
    written: dict[int, list[str]] = {EMAIL: [], URI: []}
    flaw = None if encoded and not rest else "names"
    is_flawed = False
    for value in encoded:
        tag, content = value
        if tag == DNS_TAG:  # what most names are: there may be thousands
            if content:
                dns.append(content.decode("ascii", "replace"))
            continue
        if tag == ADDRESS_TAG and len(content) == IPV4_BYTES:
            ips.append("%d.%d.%d.%d" % tuple(content))  # noqa: UP031
            continue
        name = _general_name(value)
        label = LABELS[name.kind] if name.kind < len(LABELS) else None
        if not name.is_read and not is_flawed:
            flaw, is_flawed = label or "names", True
        if name.kind == IP_ADDRESS:
            ips += [name.text] if name.text else []
        elif label is not None and name.kind != DNS:
            others[label] = None
            if name.text and len(written[name.kind]) < MOST_WRITTEN:
                written[name.kind].append(name.text)
    return AlternativeNames(tuple(dns), tuple(ips), tuple(others), flaw, tuple(written[EMAIL]), tuple(written[URI]))


def _general_name(value: der.Value) -> GeneralName:
    kind = value.tag & der.NUMBER
    if (
        value.tag & der.CLASS != der.CONTEXT
        or kind > REGISTERED
        or bool(value.tag & der.CONSTRUCTED) != (kind in CONSTRUCTED_KINDS)
    ):
        return GeneralName(kind, "", False)
    try:
        return GeneralName(kind, _text(kind, value.content), True)
    except (der.DerError, AddressValueError):
        return GeneralName(kind, "", False)


def _text(kind: int, content: bytes) -> str:
    """As ``GeneralName`` has it. Raises DerError or AddressValueError where Java cannot read the name."""
    if kind == IP_ADDRESS:
        return _address(content)
    if kind == EMAIL:
        text = content.decode("ascii", "replace")
        _check_email(text)
        return text
    if kind == URI:
        from inspector.tls.x509.uris import check_uri  # few certificates name one

        text = content.decode("ascii", "replace")
        check_uri(text)
        return text
    if kind == REGISTERED:
        der.dotted(content)
    elif kind == DIRECTORY:
        _check_directory(content)
    elif kind == OTHER:
        identifier, rest = der.first(content)
        der.oid(identifier)
        der.first(rest)  # newer versions also look at the tag of the value
    elif kind == EDI_PARTY:
        _check_party(content)
    return ""


def _address(content: bytes) -> str:
    """An address of IPv6, or an address with its mask as name constraints have them: Java compares their texts."""
    if len(content) == 2 * IPV4_BYTES:
        return f"{IPv4Address(content[:4])}/{IPv4Address(content[4:])}"
    if len(content) not in (16, 32):
        raise der.DerError
    address = IPv6Address(content[:16])
    text = str(address.ipv4_mapped or address)
    if len(content) == 16:
        return text
    mask = f"{int.from_bytes(content[16:], 'big'):0128b}".rstrip("0")
    if "0" in mask:
        raise der.DerError
    return f"{text}/{len(mask)}"


def _check_email(text: str) -> None:
    if text.partition("@")[2] in ("", ".") if "@" in text else text in ("", "."):
        raise der.DerError


def _check_directory(content: bytes) -> None:
    """Java takes relative names without a SEQUENCE around them too (``X500Name.parseDER``)."""
    try:
        name = der.first(content)[0]
        der.several(der.of_tag(name, der.SEQUENCE))
    except der.DerError:
        name = der.Value(der.SEQUENCE, content)
    read_name(name)


def _check_party(content: bytes) -> None:
    """Java's reader wants tags without the constructed bit, which none that encodes by the standard writes
    (``EDIPartyName``).
    """
    parts = der.several(content)
    if not 1 <= len(parts) <= 2 or not any(part.tag == der.CONTEXT | 1 for part in parts):
        raise der.DerError
    for part in parts:
        if part.tag & der.CLASS == der.CONTEXT and not part.tag & der.CONSTRUCTED:
            der.first(part.content)
