"""As which Java client a probe asks: its versions, cipher suites, extended master secret (EMS) and tickets, set on
OpenSSL.

What a JVM would do with the answers says the engine, by Java's rule; here is only what such a JVM offers. Sources:
JDK 7 to 25 (``SSLContextImpl``, ``jdk.tls.client.protocols``, ``jdk.tls.useExtendedMasterSecret``,
``jdk.tls.client.enableSessionTicketExtension``); SSL_CTX_set_options(3), SSL_CTX_set_security_level(3).
"""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Callable
from typing import NamedTuple

from inspector.errors import UsageError

NO_EXTENDED_MASTER_SECRET = 1
"""SSL_OP_NO_EXTENDED_MASTER_SECRET of OpenSSL 3.0; Python has no name for it."""


NEVER = "!aNULL:!eNULL:!PSK:!SRP:!CAMELLIA:!ARIA:!AESCCM"
JAVA_7 = f"kEECDH+AES:kRSA+AES:kDHE+AES:!AESGCM:kEECDH+3DES:kRSA+3DES:kDHE+3DES:RC4:{NEVER}:@SECLEVEL=0"
JAVA_8 = f"kEECDH+AESGCM:kDHE+AESGCM:kEECDH+AES:kDHE+AES:kRSA+AESGCM:kRSA+AES:!3DES:{NEVER}:@SECLEVEL=1"
JAVA_17 = f"kEECDH+AESGCM:kEECDH+CHACHA20:kDHE+AESGCM:kDHE+CHACHA20:{JAVA_8}"
"""Cipher suites up to TLS 1.2 as ciphers(1) of OpenSSL has them: those with CBC and those with RSA key exchange among
them, which Python leaves out. Suites that the machine's OpenSSL was built without are not offered.
"""


class ClientModel(NamedTuple):
    """What a JVM offers. ``suites``: up to TLS 1.2, with OpenSSL's level of security."""

    name: str
    oldest: ssl.TLSVersion
    newest: ssl.TLSVersion
    suites: str = JAVA_8
    has_ems: bool = True
    has_tickets: bool = False


MODELS = {
    model.name: model
    for model in (
        ClientModel("java17", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3, JAVA_17, has_tickets=True),
        ClientModel("java11", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
        ClientModel("java8", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2),
        ClientModel("java8-no-ems", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2, has_ems=False),
        ClientModel("java7", ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_2, JAVA_7, has_ems=False),
    )
}
"""``java17``: JDK 13 and later. ``java11``: JDK 11 and 12, and a JDK 8 that offers TLS 1.3: Oracle's since 8u341 by
default, OpenJDK's since it took over JDK-8245263. ``java8``: JDK 8 since 8u161 that does not. ``java8-no-ems``:
likewise with ``-Djdk.tls.useExtendedMasterSecret=false``, and JDK 8 before. ``java7``: what such a JVM offered where it
was told to.
"""


def no_passphrase() -> str:
    """Nobody is there who could be asked for one. Raises UsageError."""
    raise UsageError(
        "the key of --cert has a passphrase, and nobody is there to ask for it",
        "on a terminal it is asked for; or without: openssl pkey -in KEY -out OTHER",
    )


class Credentials(NamedTuple):
    """Paths of PEM files, "" where there is none: a client certificate with its key, and authorities, by which
    certificates are checked only where they are given. ``passphrase``: is asked for that of the key, if it has one.
    """

    certificate: str = ""
    key: str = ""
    authorities: str = ""
    passphrase: Callable[[], str] = no_passphrase


def context_of(model: ClientModel, credentials: Credentials, key_log: str) -> ssl.SSLContext:
    """What all connections of a probe share. ``key_log``: path of a file for the secrets of its own connections. Raises
    UsageError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of versions that are asked for on purpose
        context.minimum_version = model.oldest
        context.maximum_version = model.newest
    context.set_ciphers(model.suites)
    if not model.has_tickets:
        context.options |= ssl.OP_NO_TICKET
    if not model.has_ems:
        if ssl.OPENSSL_VERSION_INFO < (3,):
            raise UsageError(
                f"--as {model.name}: {ssl.OPENSSL_VERSION} cannot leave extended master secret out",
                "OpenSSL 3.0 or later can",
            )
        context.options |= NO_EXTENDED_MASTER_SECRET
    _load(context, credentials)
    context.keylog_filename = key_log
    return context


def _load(context: ssl.SSLContext, credentials: Credentials) -> None:
    if credentials.authorities:
        try:
            context.load_verify_locations(credentials.authorities)
        except (OSError, ssl.SSLError) as error:
            raise UsageError(f"{credentials.authorities}: {_why(error)}") from None
        context.verify_mode = ssl.CERT_REQUIRED
    if credentials.certificate:
        passphrases: list[str] = []

        def passphrase() -> str:
            passphrases.append(credentials.passphrase())
            return passphrases[0]

        try:
            context.load_cert_chain(credentials.certificate, credentials.key or None, password=passphrase)
        except (OSError, ssl.SSLError, ValueError) as error:
            if passphrases:
                key = credentials.key or credentials.certificate
                raise UsageError(f"{key}: not opened by that passphrase, or of another certificate") from None
            raise UsageError(
                f"{credentials.certificate}: {_why(error)}", "PEM, with the key of that certificate"
            ) from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no certificate or key that can be read").replace("_", " ").lower()
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)
