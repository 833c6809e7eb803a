"""One file for each data set, defining DATASET."""
