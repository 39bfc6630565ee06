"""The commands: their options, exit status and progress. Everything else is imported inside functions, so that
``--help`` is quick.
"""
