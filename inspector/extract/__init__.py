"""Captures to facts: the engine, the processes that share it, facts that were kept (a cache, journals, directories of
tables), and several extractions as one.
"""
