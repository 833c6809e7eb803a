"""Generators of synthetic data sets in place of data that may not be redistributed, one file per data set."""
