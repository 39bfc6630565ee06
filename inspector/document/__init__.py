"""The analysis document: its types, by one name."""

from __future__ import annotations

from inspector.document.analysis import (
    LISTS as LISTS,
    SCHEMA as SCHEMA,
    AcceptedAuthorities as AcceptedAuthorities,
    Backend as Backend,
    Capture as Capture,
    Certificate as Certificate,
    Client as Client,
    Clock as Clock,
    Document as Document,
    Generator as Generator,
    Limit as Limit,
    LogFile as LogFile,
    Session as Session,
    UnpairedLine as UnpairedLine,
    Use as Use,
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
from inspector.document.finding import (
    About as About,
    Aftermath as Aftermath,
    Evidence as Evidence,
    Finding as Finding,
    Grade as Grade,
    Incident as Incident,
    Remedy as Remedy,
    Verdict as Verdict,
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
from inspector.document.probed import Probed as Probed, ProbedAddress as ProbedAddress, ProbedAs as ProbedAs
from inspector.document.rules import (
    SEVERITIES as SEVERITIES,
    Severity as Severity,
)
from inspector.document.service import (
    Assessment as Assessment,
    Checker as Checker,
    Counterfactual as Counterfactual,
    Impact as Impact,
    MatrixCell as MatrixCell,
    MemberAttribute as MemberAttribute,
    MemberValue as MemberValue,
    RemedyKind as RemedyKind,
    Service as Service,
    ServiceState as ServiceState,
    Unseen as Unseen,
    ValueChange as ValueChange,
)
