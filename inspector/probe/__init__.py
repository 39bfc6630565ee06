"""The active probe: TLS handshakes made with a pool as a Java client makes them, and what both sides said as frames
that the engine reads like any capture. Nothing is judged here, and nothing decoded but whether Java would offer a
session again (``server_answer``).
"""
