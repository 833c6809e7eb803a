"""Sweeps: which setting is best on validation, and what the teacher brings on test, over several seeds."""
