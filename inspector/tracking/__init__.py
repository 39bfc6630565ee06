"""What is known across connections: the TLS view of a flow, certificates, the session ledger, clients, back ends,
services.
"""
