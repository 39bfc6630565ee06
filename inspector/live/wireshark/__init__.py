"""Wireshark: a profile for it, and captures of ours that it shows while they run (extcap(4))."""
