"""Remedies that several rules name: what to do, for whom, and how to check it; and what to read. Best first. What one
rule alone advises stands beside that rule.
"""

from __future__ import annotations

import shlex
from functools import lru_cache
from typing import NamedTuple

from inspector.document import Remedy

SERVER_207 = "https://puppet.atlassian.net/browse/SERVER-207"
KNOWN_ISSUE = "Puppet Server known issues: SSL Server Certificate Change and Virtual IPs"
RFC_7627 = "RFC 7627: TLS Session Hash and Extended Master Secret Extension"
RFC_5746 = "RFC 5746: TLS Renegotiation Indication Extension"
TRIPLE_HANDSHAKE = "https://www.secure-resumption.com/"

CHANGE_REFERENCES = [SERVER_207, KNOWN_ISSUE, RFC_7627, TRIPLE_HANDSHAKE]


MOST_HOSTS = 8
"""Back ends that a remedy names at most."""


@lru_cache(maxsize=1024)
def change_remedies(name: str, port: int, hosts: tuple[str, ...] = (), lacking: tuple[str, ...] = ()) -> list[Remedy]:
    """Against the certificate change, for the service NAME:PORT. ``hosts``: what its back ends are called; ``lacking``:
    those that alone lack EMS.
    """
    who = ", ".join(lacking[:MOST_HOSTS])
    name = shlex.quote(
        name
    )  # what clients and certificates call themselves comes from the wire, and stands in commands here
    probe = f"openssl s_client -connect {name}:{port} -servername {name} </dev/null 2>/dev/null"
    places = shlex.join(hosts[:MOST_HOSTS]) or "BACKEND1 BACKEND2"
    backend = shlex.quote(hosts[0]) if hosts else "BACKEND"
    each = f"do openssl s_client -connect $b:{port} -servername {name}"
    again = (
        f"for b in {shlex.join(lacking[:MOST_HOSTS])}; {each} -tls1_2 </dev/null 2>/dev/null | grep 'Extended master"
        " secret'; done"
    )
    first = (
        [
            Remedy(
                "PuppetDB owners",
                f"Offer extended master secret (EMS) at {who} too, as the other back ends do: then the check is"
                " skipped.",
                again,
            )
        ]
        if lacking
        else []
    )
    return [
        *first,
        Remedy(
            "PKI",
            f"Put one DNS name, e.g. {name}, into the certificates of all back ends (a wildcard helps nothing: Java"
            " compares literally), or give all of them the same certificate: puppetserver ca generate --certname"
            f" {backend} --subject-alt-names {name} (needs allow-subject-alt-names), then puppetdb ssl-setup -f.",
            f"for b in {places}; {each} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName; done",
        ),
        Remedy(
            "PuppetDB owners",
            "Offer TLS 1.3 on every back end and on the client, or extended master secret (EMS) on all of them, none"
            " left out.",
            f"{probe} | grep -E 'Protocol|Extended master secret'",
        ),
        Remedy(
            "balancer",
            "Keep a client on one back end: source affinity (balance source, or a stick table on the source address)."
            " Least connections does not cure it.",
            "inspector diff before.pcap after.pcap",
        ),
        Remedy(
            "Puppet Server owner",
            "Or use no virtual IP: list several server_urls in puppetdb.conf; they are tried in order, and each name"
            " has its own session cache.",
            "grep server_urls /etc/puppetlabs/puppet/puppetdb.conf",
        ),
        Remedy(
            "Puppet Server owner",
            "Last resort, not recommended: -Djdk.tls.allowUnsafeServerCertChange=true in JAVA_ARGS"
            " (/etc/sysconfig/puppetserver, Debian: /etc/default/puppetserver). It re-opens the triple handshake"
            " attack.",
            "ps -o args= -C java | grep allowUnsafeServerCertChange",
        ),
    ]


def capture_remedy(name: str, port: int, addresses: list[str], is_cut: bool = False) -> Remedy:
    """How to capture what is missing. ``is_cut``: frames were cut short."""
    host = addresses[0] if addresses else shlex.quote(name)
    return Remedy(
        "whoever captures",
        f"Capture {'whole frames, ' if is_cut else ''}from before the JVM starts or for longer, on the client's host.",
        f"tcpdump -i any {'-s 0 ' if is_cut else ''}-B 16384 -w vip.pcap 'host {host} and tcp port {port}'",
    )


def log_remedy() -> Remedy:
    """How to become certain of what was captured whole and has more than one cause."""
    log = "/var/log/puppetlabs/puppetserver/puppetserver.log"
    text = (
        "Look into the client's own log at these times: where it says 'restricted during renegotiation', the"
        " certificate change was the cause."
    )
    return Remedy("owners of the client", text, f"grep 'restricted during renegotiation' {log}")


def outside() -> Remedy:
    """How to capture what stood in frames that cannot be opened."""
    text = (
        "Capture where these frames carry no tunnel: on the host of client or server itself, or behind the tunnel's"
        " end."
    )
    return Remedy("whoever captures", text, "tcpdump -i any -w vip.pcap 'tcp port PORT'")


def again(is_cut: bool) -> Remedy:
    """How to capture what was lost. ``is_cut``: frames were cut short; where they were whole, nobody is told to capture
    whole ones.
    """
    option = "-s 0 " if is_cut else ""
    return Remedy(
        "whoever captures",
        f"Capture {'whole frames of ' if is_cut else ''}both directions with a larger kernel buffer.",
        f"tcpdump -i any {option}-B 65536 -w vip.pcap 'tcp port PORT'",
    )


VERIFY = "openssl verify -CAfile ca.pem chain.pem"


class Parties(NamedTuple):
    """Who is in a failure: ``rejecting`` the certificates of ``subjects``, which ``issuer`` issued; ``lacking``:
    certificates without the name. "" where not known.
    """

    rejecting: str = "the side that sent the alert"
    subjects: str = ""
    issuer: str = ""
    lacking: str = ""


NOBODY = Parties()


def failure_remedies(cause: str, name: str, port: int, parties: Parties = NOBODY) -> list[Remedy]:
    """Against other failures, for the service NAME:PORT. ``cause``: an alert's name, or one of ``causes``; what is not
    known has none.
    """
    issuer = f"the CA {parties.issuer}" if parties.issuer else "the CA"
    subjects = parties.subjects or "the certificate"
    lacking = parties.lacking or "the certificates that lack it"
    word = shlex.quote(name)
    address = f"[{name}]:{port}" if ":" in name else f"{word}:{port}"
    probe = f"openssl s_client -connect {address} -servername {word}"
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
        "no_chain": Remedy(
            "owners of the back end",
            "Send the intermediate certificates with the server's own, as the other back ends do.",
            f"{probe} -showcerts </dev/null",
        ),
        "reissue": Remedy(
            "PKI", "Issue the certificate again: Java cannot parse this one.", "keytool -printcert -file cert.pem"
        ),
        "no_certificate": Remedy(
            "owners of the server",
            "Give the server a certificate: it sends an empty list.",
            f"{probe} -showcerts </dev/null",
        ),
        "certificate_expired": Remedy(
            "PKI", f"Renew {subjects}.", f"{probe} </dev/null 2>/dev/null | openssl x509 -noout -dates"
        ),
        "unknown_ca": Remedy(
            "PKI",
            f"Give {parties.rejecting} {issuer} that issued {subjects}, or show it a certificate of a CA that it"
            " trusts.",
            VERIFY,
        ),
        "bad_certificate": Remedy("PKI", f"Look into the log of {parties.rejecting}: it rejects {subjects}.", VERIFY),
        "closed": Remedy(
            "owners of the server",
            "Look into the logs of the server and of the balancer at these times: who closed does not say why.",
            f"{probe} -msg",
        ),
        "time_out": Remedy(
            "owners of the client",
            "Look into the client's log and its time-outs, and for what kept the server waiting.",
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
            "owners of the server",
            "Look into the server's log: mostly it does not accept the client's certificate, or got none.",
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
            "owners of the server",
            "Switch TLS on at this port, or point the client at the port that speaks TLS.",
            f"curl -v http://{address}/",
        ),
    }
    return [by_remedy[cause]] if cause in by_remedy else []
