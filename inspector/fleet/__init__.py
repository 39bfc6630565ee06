"""Extraction on any number of processes and machines: captures as sequences, a task for each file of one, and all facts
as if one process had read everything.
"""
