"""What is known across connections: sightings and legs of one, clocks, certificates, the session ledger, clients, back
ends, services.
"""
