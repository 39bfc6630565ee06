"""Packets of some connections, laid out, and cut to what proves something."""
