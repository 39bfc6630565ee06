"""The JSON Schema of the analysis document, made from its types."""

from __future__ import annotations

import msgspec

from inspector.document import Document


def schema() -> bytes:
    """As ``docs/analysis.schema.json`` publishes it."""
    return msgspec.json.format(msgspec.json.encode(msgspec.json.schema(Document)), indent=2)
