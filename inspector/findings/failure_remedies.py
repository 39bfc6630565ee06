"""Against a failed handshake: what the owners of its cause must do, with the names of whom and what it is about."""

from __future__ import annotations

import shlex
from typing import NamedTuple

from inspector.document import Remedy

VERIFY = "openssl verify -CAfile ca.pem chain.pem"


class Parties(NamedTuple):
    """Who is in a failure: ``rejecting`` the certificates of ``subjects``, which ``issuer`` issued; ``lacking``:
    certificates without the name; ``servers``: the members that failed; ``host``: by what one of them can be asked
    itself. "" where not known. ``is_alone``: the server sent its certificate without that of its issuer.
    """

    rejecting: str = "the side that sent the alert"
    subjects: str = ""
    issuer: str = ""
    lacking: str = ""
    servers: str = ""
    host: str = ""
    is_alone: bool = False


NOBODY = Parties()


def failure_remedies(cause: str, name: str, port: int, parties: Parties = NOBODY) -> list[Remedy]:
    """For the service NAME:PORT, best first. ``cause``: an alert's name, or one of ``causes``; what is not known has
    none.
    """
    issuer = f"the CA {parties.issuer}" if parties.issuer else "the CA"
    subjects = parties.subjects or "the certificate"
    lacking = parties.lacking or "the certificates that lack it"
    servers = parties.servers or "the server"
    host = parties.host or name
    address = f"[{host}]:{port}" if ":" in host else f"{shlex.quote(host)}:{port}"
    probe = f"openssl s_client -connect {address} -servername {shlex.quote(name)}"
    owners = f"owners of {servers}" if parties.servers else "owners of the server"
    chain = Remedy(
        owners,
        f"Let {servers} send the intermediate certificate{f' {parties.issuer}' if parties.issuer else ''} with its own,"
        " as the other back ends do.",
        f"{probe} -showcerts </dev/null",
    )
    or_chain = Remedy(
        owners,
        f"Where {issuer} is no CA that the client holds itself: let {servers} send its certificate with its own.",
        chain.check,
    )
    by_remedy = {
        "certificate_unknown": Remedy(
            "PKI",
            f"Give the client {issuer} that issued {subjects}, or the server a certificate with the name that the"
            " client asks for.",
            VERIFY,
        ),
        "no_name": Remedy(
            "PKI",
            f"Put the name {name} into {lacking}, as a DNS name.",
            f"{probe} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName",
        ),
        "no_chain": chain,
        "reissue": Remedy(
            "PKI",
            f"Issue {subjects} again: Java cannot parse it.",
            f"{probe} </dev/null 2>/dev/null | openssl x509 | keytool -printcert",
        ),
        "no_certificate": Remedy(
            owners, f"Give {servers} a certificate: it sends an empty list.", f"{probe} -showcerts </dev/null"
        ),
        "certificate_expired": Remedy(
            "PKI", f"Renew {subjects}.", f"{probe} </dev/null 2>/dev/null | openssl x509 -noout -dates"
        ),
        "not_yet_valid": Remedy(
            "PKI",
            f"Issue {subjects} again, valid from now, or take it into use later; where it is valid by now, set the"
            " clock of the client.",
            f"{probe} </dev/null 2>/dev/null | openssl x509 -noout -dates",
        ),
        "unknown_ca": Remedy(
            "PKI",
            f"Give {parties.rejecting} {issuer} that issued {subjects}, or show it a certificate of a CA that it"
            " trusts.",
            VERIFY,
        ),
        "bad_certificate": Remedy("PKI", f"Look into the log of {parties.rejecting}: it rejects {subjects}.", VERIFY),
        "unsupported_certificate": Remedy(
            "PKI",
            f"Issue {subjects} with a key, a signature and usages that {parties.rejecting} supports.",
            f"{probe} </dev/null 2>/dev/null | openssl x509 -noout -text",
        ),
        "certificate_revoked": Remedy(
            "PKI",
            f"Issue {subjects} anew: {parties.rejecting} takes it for revoked.",
            "openssl verify -crl_check -CAfile ca.pem -CRLfile crl.pem cert.pem",
        ),
        "certificate_required": Remedy(
            "owners of the client",
            f"Give the client a certificate: {servers} requires one.",
            f"{probe} -cert client.pem -key client.key </dev/null",
        ),
        "access_denied": Remedy(
            owners,
            f"Let {servers} admit the client, or leave it out: the certificate was valid, and access control refused.",
            f"{probe} -cert client.pem -key client.key </dev/null",
        ),
        "unrecognized_name": Remedy(
            owners, f"Let {servers} answer to the name {name}, as the certificate and the clients call it.", probe
        ),
        "no_application_protocol": Remedy(
            "owners of both sides", "Allow one application protocol (ALPN) on both sides.", f"{probe} -alpn h2,http/1.1"
        ),
        "internal_error": Remedy(
            owners, f"Look into the log of {servers} at these times: it met an error of its own.", f"{probe} -msg"
        ),
        "closed": Remedy(
            owners,
            f"Look into the logs of {servers} and of the balancer at these times: who closed does not say why.",
            f"{probe} -msg",
        ),
        "time_out": Remedy(
            "owners of the client",
            f"Look into the client's log and its time-outs, and for what kept {servers} waiting.",
            f"time {probe} </dev/null",
        ),
        "silent": Remedy(
            "owners of the client",
            "Look into the client's own log at these times: it alone says why.",
            f"{probe} -showcerts </dev/null",
        ),
        "rejected": Remedy(
            "owners of the client",
            "Look into the client's log: mostly it does not trust the certificate, which is not visible without keys.",
            f"{probe} -tls1_3 -showcerts </dev/null",
        ),
        "refused": Remedy(
            owners,
            f"Look into the log of {servers}: mostly it does not accept the client's certificate, or got none.",
            f"{probe} -tls1_3 -msg",
        ),
        "protocol_version": Remedy(
            "owners of both sides",
            "Allow one TLS version on both sides.",
            f"openssl s_client -tls1_2 -connect {address}; openssl s_client -tls1_3 -connect {address}",
        ),
        "handshake_failure": Remedy(
            "owners of both sides",
            "Allow one cipher suite on both sides, or give the client the certificate that the server asks for.",
            f"{probe} -msg",
        ),
        "plain_text": Remedy(
            owners,
            "Switch TLS on at this port, or point the client at the port that speaks TLS.",
            f"curl -v http://{address}/",
        ),
    }
    if cause not in by_remedy:
        return []
    may_be_chain = parties.is_alone and cause in ("unknown_ca", "certificate_unknown")
    return [by_remedy[cause], *([or_chain] if may_be_chain else [])]
