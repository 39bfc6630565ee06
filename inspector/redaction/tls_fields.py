"""What becomes of each field of a handshake message in clear, by its path in the decoded tree (``tls.tree``).

Only a field that stands here with a treatment of its own is treated so. Every other one is replaced: an extension or a
message that nobody knows, bytes that are left over, a field that the tree learns to read later.
"""

from __future__ import annotations

from enum import Enum


class Treatment(Enum):
    """What a field's content becomes. The value: the label under which other bytes are made, where that is all."""

    KEPT = "kept"
    NAME = "name"
    PROTOCOL = "protocol"
    TICKET = "ticket"
    CERTIFICATE = "certificate"
    AUTHORITIES = "authorities"
    ZERO = "zero"
    BINDER = "binder"
    SIGNATURE = "signature"
    KEY_EXCHANGE = "key exchange"
    STATUS = "status"


HARMLESS = [
    "ClientHello.legacy_version",
    "ClientHello.random",
    "ClientHello.cipher_suites.[]",
    "ClientHello.compression_methods.[]",
    "CLIENT-HELLO.msg_type",
    "CLIENT-HELLO.version",
    "CLIENT-HELLO.cipher_spec_length",
    "CLIENT-HELLO.session_id_length",
    "CLIENT-HELLO.challenge_length",
    "CLIENT-HELLO.cipher_specs",
    "CLIENT-HELLO.challenge",
    "ServerHello.legacy_version",
    "ServerHello.random",
    "ServerHello.cipher_suite",
    "ServerHello.compression_method",
    "NewSessionTicket.ticket_lifetime_hint",
    "ServerKeyExchange.curve_type",
    "ServerKeyExchange.named_curve",
    "ServerKeyExchange.public",
    "ServerKeyExchange.dh_p",
    "ServerKeyExchange.dh_g",
    "ServerKeyExchange.dh_Ys",
    "ServerKeyExchange.algorithm",
    "CertificateRequest.certificate_types.[]",
    "CertificateRequest.supported_signature_algorithms.[]",
    "CertificateVerify.algorithm",
    "CertificateStatus.status_type",
]
"""What a side can do, and nothing of who it is; values that are new in each handshake."""

HARMLESS_EXTENSIONS = [
    "server_name.server_name_list.name_type",
    "max_fragment_length.max_fragment_length",
    "status_request.status_type",
    "supported_groups.named_group_list.[]",
    "ec_point_formats.ec_point_format_list.[]",
    "signature_algorithms.supported_signature_algorithms.[]",
    "heartbeat.mode",
    "compress_certificate.algorithms.[]",
    "record_size_limit.record_size_limit",
    "delegated_credentials.supported_signature_algorithms.[]",
    "pre_shared_key.identities.obfuscated_ticket_age",
    "pre_shared_key.selected_identity",
    "supported_versions.versions.[]",
    "supported_versions.selected_version",
    "psk_key_exchange_modes.ke_modes.[]",
    "signature_algorithms_cert.supported_signature_algorithms.[]",
    "key_share.client_shares.group",
    "key_share.client_shares.key_exchange",
    "key_share.group",
    "key_share.key_exchange",
    "renegotiation_info.renegotiated_connection",
]
"""The same of extensions, in either hello."""

REPLACED = {
    "ClientHello.session_id": Treatment.TICKET,
    "CLIENT-HELLO.session_id": Treatment.TICKET,
    "ServerHello.session_id": Treatment.TICKET,
    "NewSessionTicket.ticket": Treatment.TICKET,
    "Certificate.certificate_list.[]": Treatment.CERTIFICATE,
    "ServerKeyExchange.exchange_keys": Treatment.KEY_EXCHANGE,
    "ServerKeyExchange.signature": Treatment.SIGNATURE,
    "CertificateRequest.certificate_authorities": Treatment.AUTHORITIES,
    "CertificateVerify.signature": Treatment.SIGNATURE,
    "ClientKeyExchange.exchange_keys": Treatment.KEY_EXCHANGE,
    "CertificateStatus.response": Treatment.STATUS,
}
"""What identifies, or proves knowledge of what does: from a signature the signer's public key could be computed."""

REPLACED_EXTENSIONS = {
    "server_name.server_name_list.host_name": Treatment.NAME,
    "status_request.responder_id_list": Treatment.STATUS,
    "status_request.request_extensions": Treatment.STATUS,
    "application_layer_protocol_negotiation.protocol_name_list.[]": Treatment.PROTOCOL,
    "next_protocol_negotiation.[]": Treatment.PROTOCOL,
    "application_settings.protocol_name_list.[]": Treatment.PROTOCOL,
    "padding.padding": Treatment.ZERO,
    "session_ticket.ticket": Treatment.TICKET,
    "pre_shared_key.identities.identity": Treatment.TICKET,
    "pre_shared_key.binders.binder": Treatment.BINDER,
}

EXTENSION_LISTS = ("ClientHello.extensions", "ServerHello.extensions")

TREATMENTS: dict[str, Treatment] = {
    **dict.fromkeys(HARMLESS, Treatment.KEPT),
    **REPLACED,
    **{f"{listed}.{path}": Treatment.KEPT for listed in EXTENSION_LISTS for path in HARMLESS_EXTENSIONS},
    **{f"{listed}.{path}": how for listed in EXTENSION_LISTS for path, how in REPLACED_EXTENSIONS.items()},
}
"""By a field's path from the message on. What is missing here is replaced."""
