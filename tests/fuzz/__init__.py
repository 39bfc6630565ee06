"""Fuzzing that goes on: a target for each parser (``targets``), inputs that reach far into it (``corpus``), guidance by
coverage (``guided``), and captures harmed in ways that captures are (``captures``).

``python -m tests.fuzz`` runs all targets for so many minutes and prints a table; ``tests/test_corpus.py`` holds every
target against its corpus, without the fuzzer.
"""
