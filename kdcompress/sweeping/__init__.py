"""Sweeps: choice of the best setting on validation, and the gain from the teacher on test, over several seeds."""
