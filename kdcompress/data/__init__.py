"""One file per data set, each defining DATASET; splits and views in the underscored parts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kdcompress.data._base import Dataset, DatasetSource, Samples
from kdcompress.data._images import find_images, image_size, read_image
from kdcompress.data._splits import Split, split_dataset, stratified
from kdcompress.data._views import apply_transforms, view_transforms
from kdcompress.recipe import choose


def make_source(settings: Mapping[str, Any]) -> DatasetSource:
    """The data set that `settings` name ({"name": "mnist", "dir": ...}); RecipeError if they are wrong."""
    source: DatasetSource = choose("data", settings)
    return source


__all__ = [
    "Dataset",
    "DatasetSource",
    "Samples",
    "Split",
    "apply_transforms",
    "find_images",
    "image_size",
    "make_source",
    "read_image",
    "split_dataset",
    "stratified",
    "view_transforms",
]
