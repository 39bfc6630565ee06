"""The terminal app. The only place that imports Textual; everything else works without it."""
