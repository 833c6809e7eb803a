"""Drawn stand-ins for data that may not be handed on: one file for each data set, defining SYNTHETIC."""
