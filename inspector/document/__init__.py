"""The analysis document: its types, by one name."""

from __future__ import annotations

from inspector.document.analysis import (
    LISTS as LISTS,
    SCHEMA as SCHEMA,
    About as About,
    AcceptedAuthorities as AcceptedAuthorities,
    Aftermath as Aftermath,
    Assessment as Assessment,
    Backend as Backend,
    Capture as Capture,
    Certificate as Certificate,
    Checker as Checker,
    Client as Client,
    Clock as Clock,
    Counterfactual as Counterfactual,
    Document as Document,
    Evidence as Evidence,
    Finding as Finding,
    Generator as Generator,
    Grade as Grade,
    Impact as Impact,
    Incident as Incident,
    Limit as Limit,
    LogFile as LogFile,
    MatrixCell as MatrixCell,
    MemberAttribute as MemberAttribute,
    MemberValue as MemberValue,
    Remedy as Remedy,
    RemedyKind as RemedyKind,
    Service as Service,
    ServiceState as ServiceState,
    Session as Session,
    UnpairedLine as UnpairedLine,
    Unseen as Unseen,
    Use as Use,
    ValueChange as ValueChange,
    Verdict as Verdict,
)
from inspector.document.connection import (
    Alert as Alert,
    Anomaly as Anomaly,
    Connection as Connection,
    End as End,
    Endpoint as Endpoint,
    Leg as Leg,
    LogLine as LogLine,
    Sizes as Sizes,
    Span as Span,
)
from inspector.document.handshake import (
    Cipher as Cipher,
    FrameRef as FrameRef,
    Frames as Frames,
    Handshake as Handshake,
    Inside as Inside,
    Jsse as Jsse,
    MessageLength as MessageLength,
    Negotiated as Negotiated,
    Sender as Sender,
    SessionFields as SessionFields,
)
from inspector.document.probed import Probed as Probed, ProbedAddress as ProbedAddress
from inspector.document.rules import (
    SEVERITIES as SEVERITIES,
    Severity as Severity,
)
