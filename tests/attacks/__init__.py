"""Attacks by the kind, each with its variants and of any size: ``test_attack_kinds`` holds the program against all of
them, ``python -m tests.attacks`` measures them.
"""
