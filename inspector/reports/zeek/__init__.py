"""What was analysed as Zeek logs it: ``conn``, ``ssl``, ``x509`` and ``notice``, as its ASCII writer does, or JSON."""
