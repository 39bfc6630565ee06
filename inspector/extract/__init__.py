"""Captures to facts: the engine, the processes that share it, what was kept in a journal, and several extractions as
one.
"""
