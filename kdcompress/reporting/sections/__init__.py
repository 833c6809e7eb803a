"""Sections of the HTML page; each module builds a `Section` from a run, or None where it does not apply."""
