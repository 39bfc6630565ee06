"""The active probe: TLS handshakes made with a pool as a Java client makes them, and what both sides said as frames
that the engine reads like any capture. Nothing is decoded or judged here.
"""
