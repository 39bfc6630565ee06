"""Remedies that several rules name: what to do, for whom, and how to check it; and what to read. Best first. What one
rule alone advises stands beside that rule.
"""

from __future__ import annotations

import shlex
from functools import lru_cache

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
def change_remedies(
    name: str,
    port: int,
    hosts: tuple[str, ...] = (),
    lacking: tuple[str, ...] = (),
    unnamed: tuple[str, ...] = (),
    shared: str = "",
) -> list[Remedy]:
    """Against the certificate change, for the service NAME:PORT. ``hosts``: what its back ends are called; ``lacking``:
    those that alone lack EMS; ``unnamed``: those whose certificates alone lack the name ``shared``.
    """
    who = _listed(lacking)
    change = (
        f"Put the DNS name {shared}, which others have, into the certificate{'s' * (len(unnamed) > 1)} of"
        f" {_listed(unnamed)} too"
        if unnamed
        else f"Put one DNS name, e.g. {shlex.quote(name)}, into the certificates of all back ends"
    )
    common = shlex.quote(shared if unnamed else name)
    name = shlex.quote(
        name
    )  # what clients and certificates call themselves comes from the wire, and stands in commands here
    probe = f"openssl s_client -connect {name}:{port} -servername {name} </dev/null 2>/dev/null"
    places = shlex.join(hosts[:MOST_HOSTS]) or "BACKEND1 BACKEND2"
    backend = shlex.quote((unnamed or hosts)[0]) if hosts else "BACKEND"
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
            f"{change} (a wildcard helps nothing: Java compares literally), or give all of them the same certificate:"
            f" puppetserver ca generate --certname {backend} --subject-alt-names {common} (needs"
            " allow-subject-alt-names), then puppetdb ssl-setup -f.",
            f"for b in {places}; {each} </dev/null 2>/dev/null | openssl x509 -noout -ext subjectAltName; done",
        ),
        Remedy(
            "PuppetDB owners",
            "Or offer TLS 1.3 on every back end and on the client, none left out."
            if lacking
            else "Offer TLS 1.3 on every back end and on the client, or extended master secret (EMS) on all of them,"
            " none left out.",
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


def _listed(hosts: tuple[str, ...]) -> str:
    """Some of them by name."""
    further = len(hosts) - MOST_HOSTS
    return ", ".join(hosts[:MOST_HOSTS]) + (f" and {further} more" if further > 0 else "")


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


def read_on() -> Remedy:
    """What helps where reading was ended."""
    return Remedy("whoever reads it", "Read all packets: without -c.", "inspector analyze vip.pcap")


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
