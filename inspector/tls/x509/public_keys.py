"""Public keys of certificates (RFC 5280, section 4.1.2.7): their kind and size, and whether Java takes them.

Java makes the key while it reads the certificate (``sun.security.x509.X509Key.buildX509Key``): a key that it knows the
kind of but does not take costs it the whole certificate. So it is with points that are compressed, with curves by
explicit parameters, and with RSA moduli of an odd size.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from inspector.tls.x509 import der

RSA, RSA_PSS, DSA, EC = "1.2.840.113549.1.1.1", "1.2.840.113549.1.1.10", "1.2.840.10040.4.1", "1.2.840.10045.2.1"
FIXED = {
    "1.3.101.110": ("X25519", 32),
    "1.3.101.111": ("X448", 56),
    "1.3.101.112": ("Ed25519", 32),
    "1.3.101.113": ("Ed448", 57),
}
"""RFC 8410: name and bytes of the key."""

CURVES = {
    "1.2.840.10045.3.1.1": ("secp192r1", 192),
    "1.3.132.0.33": ("secp224r1", 224),
    "1.2.840.10045.3.1.7": ("secp256r1", 256),
    "1.3.132.0.34": ("secp384r1", 384),
    "1.3.132.0.35": ("secp521r1", 521),
    "1.3.132.0.10": ("secp256k1", 256),
    "1.3.36.3.3.2.8.1.1.7": ("brainpoolP256r1", 256),
    "1.3.36.3.3.2.8.1.1.11": ("brainpoolP384r1", 384),
    "1.3.36.3.3.2.8.1.1.13": ("brainpoolP512r1", 512),
    "1.3.132.0.1": ("sect163k1", 163),
    "1.3.132.0.15": ("sect163r2", 163),
    "1.3.132.0.26": ("sect233k1", 233),
    "1.3.132.0.27": ("sect233r1", 233),
    "1.3.132.0.16": ("sect283k1", 283),
    "1.3.132.0.17": ("sect283r1", 283),
    "1.3.132.0.36": ("sect409k1", 409),
    "1.3.132.0.37": ("sect409r1", 409),
    "1.3.132.0.38": ("sect571k1", 571),
    "1.3.132.0.39": ("sect571r1", 571),
}
"""Names and bits of the field (SEC 2, RFC 5639). Java knows them all, and some that stand in no certificate."""

POOLED_BYTES = 64
UNCOMPRESSED = 4
RSA_BITS = range(512, 16385)
MOST = (1 << 63) - 1
RSA_LARGE_BITS, RSA_EXPONENT_BITS = 3072, 64
"""``sun.security.rsa.RSAKeyFactory``: the moduli that it takes, and how long the exponent of a large one may be."""


class Algorithm(NamedTuple):
    """An AlgorithmIdentifier (RFC 5280, section 4.1.1.2). NULL parameters are none."""

    oid: str
    parameters: der.Value | None


class PublicKey(NamedTuple):
    """``text``: kind and size, ``RSA 2048``. ``is_taken``: whether Java takes it; None where that depends on which
    Java. ``algorithm``: its object identifier. ``bits``: of the modulus, the prime or the field; None where they are
    not known. ``curve``: empty where it has none that is known. ``exponent``: of RSA, where it is no longer than others
    can count.
    """

    text: str
    is_taken: bool | None
    algorithm: str = ""
    bits: int | None = None
    curve: str = ""
    exponent: int | None = None


def read_algorithm(value: der.Value) -> Algorithm:
    """Raises DerError."""
    return _of_pool(value) if len(value.content) <= POOLED_BYTES else _read_algorithm(value)


def _read_algorithm(value: der.Value) -> Algorithm:
    identifier, *parameters = der.several(der.of_tag(value, der.SEQUENCE)) or [der.Value(der.NULL, b"")]
    if len(parameters) > 1 or (parameters and parameters[0].tag == der.NULL and parameters[0].content):
        raise der.DerError
    return Algorithm(der.oid(identifier), parameters[0] if parameters and parameters[0].tag != der.NULL else None)


_of_pool = lru_cache(maxsize=256)(_read_algorithm)
"""A handful of algorithms stand in all certificates."""


def read_public_key(value: der.Value) -> PublicKey:
    """A SubjectPublicKeyInfo. Raises DerError where it is none."""
    parts = der.several(der.of_tag(value, der.SEQUENCE))
    if len(parts) != 2:
        raise der.DerError
    algorithm, key = read_algorithm(parts[0]), der.bits(parts[1])
    if algorithm.oid in (RSA, RSA_PSS):
        return _rsa(key)._replace(algorithm=algorithm.oid)
    if algorithm.oid == EC:
        return _ec(algorithm.parameters, key)
    if algorithm.oid == DSA:
        return _dsa(algorithm.parameters, key)
    if algorithm.oid in FIXED:
        name, size = FIXED[algorithm.oid]
        return PublicKey(name, algorithm.parameters is None and len(key) == size, algorithm.oid)
    return PublicKey(algorithm.oid, True, algorithm.oid)


def _rsa(key: bytes) -> PublicKey:
    try:
        modulus, exponent = (
            int.from_bytes(der.of_tag(v, der.INTEGER), "big")
            for v in der.several(der.of_tag(der.one(key), der.SEQUENCE))
        )
    except ValueError:
        return PublicKey("RSA", False)
    bits = modulus.bit_length()
    is_taken = (
        (bits + 7) // 8 * 8 in RSA_BITS
        and 3 <= exponent < modulus
        and (bits <= RSA_LARGE_BITS or exponent.bit_length() <= RSA_EXPONENT_BITS)
    )
    return PublicKey(f"RSA {bits}", is_taken, bits=bits, exponent=exponent if exponent <= MOST else None)


def _ec(parameters: der.Value | None, key: bytes) -> PublicKey:
    try:
        identifier = der.oid(parameters) if parameters is not None else ""
    except der.DerError:
        identifier = ""
    if identifier not in CURVES:
        return PublicKey(f"EC {identifier or 'of explicit parameters'}", None if identifier else False, EC)
    name, bits = CURVES[identifier]
    is_taken = key[:1] == bytes((UNCOMPRESSED,)) and (len(key) - 1) // 2 == (bits + 7) // 8
    return PublicKey(f"EC {name}", is_taken, EC, bits, name)


def _dsa(parameters: der.Value | None, key: bytes) -> PublicKey:
    try:
        der.integer(der.one(key))
        prime, *_ = (
            der.several(der.of_tag(parameters, der.SEQUENCE))
            if parameters is not None
            else [der.Value(der.INTEGER, b"\0")]
        )
        bits = der.integer(prime).bit_length()
        return PublicKey(f"DSA {bits}", True, DSA, bits or None)
    except ValueError:
        return PublicKey("DSA", False, DSA)
