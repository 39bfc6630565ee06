"""TLS off the wire, SSLv3 to 1.3: records, handshake messages, fingerprints. Sans-IO, standard library only.

Parsers take any bytes and give a value or raise ``Malformed``; what is unknown stays a number with a name from the
registry.
"""
