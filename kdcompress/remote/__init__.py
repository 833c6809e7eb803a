"""Data and models at a distance: what a URL leads to is copied into the cache once, and checked."""

from __future__ import annotations

from kdcompress.remote._copies import local_path

__all__ = ["local_path"]
