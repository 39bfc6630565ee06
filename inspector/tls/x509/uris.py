"""URIs in certificates as ``sun.security.x509.URIName`` reads them."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address

from inspector.tls.x509 import der

ESCAPE = r"%[0-9a-fA-F]{2}|[^\x00-\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]"
URI_SYNTAX = re.compile(
    rf"""
    (?P<scheme>[a-zA-Z][a-zA-Z0-9+.-]*) :
    (?: (?: // (?P<authority>[^/?\#]*) )?
        (?P<path> (?: / (?: [\w\-.!~*'();/:@&=+$,] | {ESCAPE} )* )? )
        (?P<query> \? (?: [\w\-.!~*'();/?:@&=+$,\[\]] | {ESCAPE} )* )?
      | (?P<opaque> (?!/) (?: [\w\-.!~*'();/?:@&=+$,\[\]] | {ESCAPE} )+ )
    )
    (?P<fragment> \# (?: [\w\-.!~*'();/?:@&=+$,\[\]] | {ESCAPE} )* )?
    """,
    re.VERBOSE | re.ASCII,
)
"""As ``java.net.URI`` parses: RFC 2396 and what is neither ASCII nor white space."""

REGISTRY = re.compile(rf"(?: [\w\-.!~*'()$,;:@&=+] | {ESCAPE} )*", re.VERBOSE | re.ASCII)
LITERAL = re.compile(
    r"(?: (?: [\w\-.!~*'();:&=+$,] | %[0-9a-fA-F]{2} )* @ )? \[ (?P<address>[^\]]*) \] (?: : [0-9]* )?",
    re.VERBOSE | re.ASCII,
)
HOST_WITH_DOT = re.compile(
    r"(?: [^@]* @ )? (?: [a-zA-Z0-9] (?: [a-zA-Z0-9-]* [a-zA-Z0-9] )? \. )* [a-zA-Z] (?: [a-zA-Z0-9-]* [a-zA-Z0-9] )?"
    r" \. (?: : [0-9]* )?",
    re.VERBOSE,
)


def is_uri(content: bytes) -> bool:
    """Whether Java reads this as a URI."""
    try:
        check_uri(content.decode("ascii", "replace"))
    except (der.DerError, AddressValueError):
        return False
    return True


def check_uri(text: str) -> None:
    """Raises DerError where ``sun.security.x509.URIName`` refuses it: no URI, no scheme, a host that is none."""
    match = URI_SYNTAX.fullmatch(text)
    if match is None:
        raise der.DerError
    authority = match["authority"]
    if authority is None:
        if not (match["opaque"] or match["path"] or match["query"]):
            raise der.DerError
    elif not authority:
        if match.end("authority") == len(text):
            raise der.DerError
    elif "[" in authority or "]" in authority:
        literal = LITERAL.fullmatch(authority)
        if literal is None or "%" in literal["address"]:
            raise der.DerError
        IPv6Address(literal["address"])
    elif not REGISTRY.fullmatch(authority) or HOST_WITH_DOT.fullmatch(authority):
        raise der.DerError  # a host that ends with a dot is looked up as an address, and that fails
