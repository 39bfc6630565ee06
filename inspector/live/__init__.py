"""Live capture: sources, privileges, what is kept in memory and on disk, and the loop that joins them.
Knows no screen.
"""
