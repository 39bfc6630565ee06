"""Facts and packets that may be shown to strangers: what identifies is replaced, what relates stays. Equal stays equal,
shared stays shared, other stays other.
"""
