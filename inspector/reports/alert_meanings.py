"""What fatal alerts mean by the standard, and where that stands."""

from __future__ import annotations

from inspector.tls.types import AlertDescription as Alert

MEANINGS: dict[int, str] = {
    Alert.UNEXPECTED_MESSAGE: "a message came that does not belong there",
    Alert.BAD_RECORD_MAC: "a record could not be authenticated",
    Alert.RECORD_OVERFLOW: "a record was too long",
    Alert.HANDSHAKE_FAILURE: "no acceptable set of security parameters could be negotiated",
    Alert.BAD_CERTIFICATE: "a certificate was corrupt, or its signatures did not verify; some clients send it for all"
    " that they reject",
    Alert.UNSUPPORTED_CERTIFICATE: "a certificate was of an unsupported type",
    Alert.CERTIFICATE_REVOKED: "a certificate was revoked by its signer",
    Alert.CERTIFICATE_EXPIRED: "a certificate has expired or is not currently valid",
    Alert.CERTIFICATE_UNKNOWN: "some other issue made the certificate unacceptable",
    Alert.ILLEGAL_PARAMETER: "a field was out of range or inconsistent with others",
    Alert.UNKNOWN_CA: "the CA certificate could not be located, or does not match a known trust anchor",
    Alert.ACCESS_DENIED: "a valid certificate came, and access control did not let it in",
    Alert.DECODE_ERROR: "a message could not be decoded",
    Alert.DECRYPT_ERROR: "a signature or a Finished message could not be verified",
    Alert.PROTOCOL_VERSION: "the version is recognized and not supported",
    Alert.INSUFFICIENT_SECURITY: "the server requires more secure parameters than the client supports",
    Alert.INTERNAL_ERROR: "an internal error, nothing to do with the peer",
    Alert.INAPPROPRIATE_FALLBACK: "the client fell back to a version lower than both support",
    Alert.MISSING_EXTENSION: "a mandatory extension is missing",
    Alert.UNSUPPORTED_EXTENSION: "an extension came that was not offered, or must not stand there",
    Alert.UNRECOGNIZED_NAME: "no server goes by the name in the hello",
    Alert.BAD_CERTIFICATE_STATUS_RESPONSE: "the stapled OCSP response is invalid or unacceptable",
    Alert.UNKNOWN_PSK_IDENTITY: "no acceptable pre-shared key was offered",
    Alert.CERTIFICATE_REQUIRED: "a client certificate is desired, and none was sent",
    Alert.NO_APPLICATION_PROTOCOL: "the server supports no protocol that the client offers",
}
ELSEWHERE: dict[int, str] = {
    Alert.INAPPROPRIATE_FALLBACK: "RFC 7507, 4",
    Alert.UNRECOGNIZED_NAME: "RFC 6066, 3",
    Alert.BAD_CERTIFICATE_STATUS_RESPONSE: "RFC 6066, 8",
    Alert.NO_APPLICATION_PROTOCOL: "RFC 7301, 3.2",
}
"""Those that another standard brought."""


def meaning(code: int, is_tls13: bool) -> str:
    """``a certificate has expired or is not currently valid (RFC 5246, 7.2.2)``; empty for what no standard names."""
    text = MEANINGS.get(code)
    if text is None:
        return ""
    return f"{text} ({ELSEWHERE.get(code, 'RFC 8446, 6.2' if is_tls13 else 'RFC 5246, 7.2.2')})"
