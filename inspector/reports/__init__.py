"""The analysis document in its other shapes: JSON, text, CSV, events and logs as other tools have them, tables; and
what reports say, as lines that the app shows as well.
"""
