"""The terminal app. The only place that imports Textual; everything else works without it."""

AREAS = ("services", "overview", "connections", "sessions", "certificates", "incidents")
"""In the order of their keys, 1 to 6."""
