"""The columns of Zeek's logs by name and type, in the order in which Zeek writes them, and ours behind them. Ours are
those of a record ``inspector``, so that none can be Zeek's.
"""

from __future__ import annotations

from typing import NamedTuple


class LogColumn(NamedTuple):
    """``kind``: the type as Zeek names it."""

    name: str
    kind: str


def _columns(text: str) -> tuple[LogColumn, ...]:
    return tuple(LogColumn(*word.split(":")) for word in text.split())


FLOW = "ts:time uid:string id.orig_h:addr id.orig_p:port id.resp_h:addr id.resp_p:port"

CONN = _columns(
    FLOW
    + """ proto:enum service:string duration:interval orig_bytes:count resp_bytes:count conn_state:string
    local_orig:bool local_resp:bool missed_bytes:count history:string orig_pkts:count orig_ip_bytes:count
    resp_pkts:count resp_ip_bytes:count tunnel_parents:set[string] ip_proto:count
    inspector.connection:string inspector.leg:count inspector.closed_by:string inspector.closed_how:string
    inspector.rtt:interval inspector.capture:count inspector.first_frame:count inspector.last_frame:count"""
)
"""A row for each leg of a connection: each is a flow of its own. ``inspector.leg``: 0 is the client's."""

SSL = _columns(
    FLOW
    + """ version:string cipher:string curve:string server_name:string resumed:bool last_alert:string
    next_protocol:string established:bool ssl_history:string cert_chain_fps:vector[string]
    client_cert_chain_fps:vector[string] sni_matches_cert:bool ja3:string ja3s:string
    inspector.service:string inspector.backend:string inspector.backend_name:string inspector.client_stack:string
    inspector.outcome:string inspector.kind:string inspector.declined:bool inspector.health_check:bool
    inspector.java_verdict:string inspector.java_reason:string inspector.extended_master_secret:bool
    inspector.ja4:string inspector.renegotiations:vector[string] inspector.leg_uids:vector[string]"""
)
"""A row for each connection. ``ja3`` and ``ja3s`` are those of the package ``ja3``."""

X509 = _columns(
    """ts:time fingerprint:string certificate.version:count certificate.serial:string certificate.subject:string
    certificate.issuer:string certificate.not_valid_before:time certificate.not_valid_after:time
    certificate.key_alg:string certificate.sig_alg:string certificate.key_type:string certificate.key_length:count
    certificate.exponent:string certificate.curve:string san.dns:vector[string] san.uri:vector[string]
    san.email:vector[string] san.ip:vector[addr] basic_constraints.ca:bool basic_constraints.path_len:count
    host_cert:bool client_cert:bool"""
)
"""A row for each certificate, told apart by ``host_cert`` and ``client_cert``, as Zeek does."""

NOTICE = _columns(
    FLOW
    + """ fuid:string file_mime_type:string file_desc:string proto:enum note:enum msg:string sub:string src:addr
    dst:addr p:port n:count peer_descr:string actions:set[enum] email_dest:set[string] suppress_for:interval
    remote_location.country_code:string remote_location.region:string remote_location.city:string
    remote_location.latitude:double remote_location.longitude:double
    inspector.finding:string inspector.severity:string inspector.verdict:string inspector.grade:string
    inspector.service:string inspector.backends:vector[string] inspector.uids:vector[string]
    inspector.last:time inspector.do:vector[string]"""
)
"""A row for each finding."""

COLUMNS = {"conn": CONN, "ssl": SSL, "x509": X509, "notice": NOTICE}
"""By the name of the log, ``_path`` in JSON."""

Scalar = str | int | bool
Values = dict[str, "Scalar | list[str] | None"]
"""Of a row, by column; what is not there is unset. Times and intervals are nanoseconds."""
