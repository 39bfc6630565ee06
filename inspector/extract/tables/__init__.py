"""Facts in a directory of tables, which any number of hosts may write to and anybody may ask.

A directory holds *parts*: what was extracted at one vantage point in one go. A part is files of Parquet, one or more
in each table, and a manifest that names them with their SHA-256. The manifest is written last and under a temporary
name, so that a part is there or it is not; what lies in the tables without one is half of something, and is not read.

    FACTS/parts/PART.json                                          the manifests
    FACTS/connections/vantage=NAME/day=2026-11-29/PART.parquet     a row for each connection
    FACTS/certificates/PART.parquet, shapes/, captures/, clock_offsets/, remainder/

A part is named by the hash of its inputs, the engine and the form of the tables: whoever extracts the same once more
finds it there. The columns are what people ask for; the column ``packed`` is the truth, from which an analysis is made.
Nothing that is read is trusted: it is checked as what a journal holds is.
"""

from inspector.extract.tables.digests import CaptureDigests
from inspector.extract.tables.manifest import PartManifest
from inspector.extract.tables.reading import listed_parts, read_tables, whole_parts
from inspector.extract.tables.writing import PartWriter

__all__ = ["CaptureDigests", "PartManifest", "PartWriter", "listed_parts", "read_tables", "whole_parts"]
