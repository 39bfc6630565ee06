"""Distinguished names as OpenSSL writes them by RFC 2253, and so Zeek: the last part first, attributes by OpenSSL's
short names, every byte beyond ASCII and every control character as two hexadecimal digits behind a backslash. What
OpenSSL has no name for, or is no string, stands as its DER.
"""

from __future__ import annotations

import re

from inspector.tls.x509 import der
from inspector.tls.x509.distinguished_names import Attribute, Name

X500 = """
    3:CN 4:SN 5:serialNumber 6:C 7:L 8:ST 9:street 10:O 11:OU 12:title 13:description 14:searchGuide
    15:businessCategory 16:postalAddress 17:postalCode 18:postOfficeBox 19:physicalDeliveryOfficeName
    20:telephoneNumber 21:telexNumber 22:teletexTerminalIdentifier 23:facsimileTelephoneNumber 24:x121Address
    25:internationaliSDNNumber 26:registeredAddress 27:destinationIndicator 28:preferredDeliveryMethod
    29:presentationAddress 30:supportedApplicationContext 31:member 32:owner 33:roleOccupant 34:seeAlso
    35:userPassword 36:userCertificate 37:cACertificate 38:authorityRevocationList 39:certificateRevocationList
    40:crossCertificatePair 41:name 42:GN 43:initials 44:generationQualifier 45:x500UniqueIdentifier
    46:dnQualifier 47:enhancedSearchGuide 48:protocolInformation 49:distinguishedName 50:uniqueMember
    51:houseIdentifier 52:supportedAlgorithms 53:deltaRevocationList 54:dmdName 65:pseudonym 72:role
    97:organizationIdentifier
"""
SHORT_NAMES = {
    **{f"2.5.4.{number}": name for number, name in (word.split(":") for word in X500.split())},
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.3": "mail",
    "0.9.2342.19200300.100.1.25": "DC",
    "1.2.840.113549.1.9.1": "emailAddress",
    "1.2.840.113549.1.9.2": "unstructuredName",
    "1.2.840.113549.1.9.7": "challengePassword",
    "1.2.840.113549.1.9.8": "unstructuredAddress",
    "1.3.6.1.4.1.311.60.2.1.1": "jurisdictionL",
    "1.3.6.1.4.1.311.60.2.1.2": "jurisdictionST",
    "1.3.6.1.4.1.311.60.2.1.3": "jurisdictionC",
}
"""Of attributes that stand in names; those of organizationIdentifier since OpenSSL 1.1.1."""

STRINGS = (
    der.UTF8_STRING,
    der.NUMERIC_STRING,
    der.PRINTABLE_STRING,
    der.T61_STRING,
    der.IA5_STRING,
    der.UNIVERSAL_STRING,
    der.BMP_STRING,
)
SPECIAL = re.compile(rb'[,+"\\<>;]|^[# ]| \Z')
"""What RFC 2253, section 2.4, has escaped."""

NOT_PRINTED = re.compile(rb"[^\x20-\x7e]")


def rfc2253(name: Name) -> str:
    """A whole name."""
    return ",".join("+".join(map(_written, reversed(relative))) for relative in reversed(name))


def _written(attribute: Attribute) -> str:
    name = SHORT_NAMES.get(attribute.oid)
    if name is None or attribute.value.tag not in STRINGS:
        return f"{name or attribute.oid}=#{der.encoded(attribute.value).hex().upper()}"
    octets = SPECIAL.sub(rb"\\\g<0>", attribute.text.encode("utf-8", "replace"))
    return f"{name}={NOT_PRINTED.sub(_digits, octets).decode()}"


def _digits(octet: re.Match[bytes]) -> bytes:
    return b"\\%02X" % ord(octet.group())
