"""The document as tables for notebooks: a row each for connections, handshakes, sessions, findings and what they are
about, with columns of Arrow's types.
"""
