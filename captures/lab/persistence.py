"""How HAProxy keeps a client on one back end: what stands below ``listen`` in the lab, and in
``docs/how-to/balancers/haproxy.md``.
"""

from __future__ import annotations

RANDOM = "balance random(1)"
SOURCE = """balance source
hash-type consistent"""
TABLE = """balance roundrobin
stick-table type ipv6 size 100k expire 24h
stick on src"""
SESSION = """balance roundrobin
stick-table type binary len 32 size 100k expire 24h
tcp-request inspect-delay 5s
tcp-request content accept if { req.ssl_hello_type 1 }
tcp-response inspect-delay 5s
tcp-response content accept if { res.ssl_hello_type 2 }
stick on req.payload_lv(43,1) if { req.ssl_hello_type 1 }
stick store-response res.payload_lv(43,1) if { res.ssl_hello_type 2 }"""

PERSISTENCE = {"none": RANDOM, "source": SOURCE, "table": TABLE, "session": SESSION}
"""By the word of ``lab.py --persistence``."""
