"""Certificates read as Java and OpenSSL read them, not as X.690 would have them. Standard library only."""
