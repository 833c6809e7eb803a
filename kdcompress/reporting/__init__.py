"""Reports of runs: a self-contained HTML page, a model card, and comparisons of runs and sweeps."""
