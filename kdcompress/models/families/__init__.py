"""Architectures of other libraries, one file per library with FAMILY, a Family; the file's name is their prefix."""
