"""Text at the edges: what is made safe, how times are written, how ``host:port`` is read."""
