"""Dialogs, one a file: each asks one question and is dismissed with the answer."""
