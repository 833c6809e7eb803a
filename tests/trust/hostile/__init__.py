"""Hostile files, a module for each family; each function makes one kind."""
