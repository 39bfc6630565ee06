"""The analysis document and its other shapes: JSON, text, CSV, certificate comparison."""
