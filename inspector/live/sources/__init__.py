"""Where live frames and lines come from."""
