"""The filter language: its fields, its grammar, and all connections in columns to sort and filter by; and questions in
SQL to directories of facts.
"""
