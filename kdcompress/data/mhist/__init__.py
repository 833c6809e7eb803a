"""MHIST's files, table, votes and origin."""
