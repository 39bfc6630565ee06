"""What opens encrypted records: key logs, decryption secrets of captures, RSA keys of servers. Imported only where
secrets are given.
"""
