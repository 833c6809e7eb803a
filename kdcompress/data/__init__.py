"""Images and labels: data sets in `sources/`, stores, splits and views."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.config.choices import choose
from kdcompress.config.recipe import Recipe
from kdcompress.data.base import UNLABELLED, Dataset, DatasetSource, Samples, write_ids
from kdcompress.data.images import MODES, Shape, find_images, image_size, read_image
from kdcompress.data.npz import ArrayFile
from kdcompress.data.splits import Split, split_dataset, stratified_subset
from kdcompress.data.stores import FileImages, Images, LazyImages, MappedImages, iter_blocks, resize_images
from kdcompress.data.subclasses import merge_classes
from kdcompress.data.unlabelled import load_unlabelled
from kdcompress.data.views import apply_transforms, scale_transforms, select_transforms, view_transforms
from kdcompress.progress import Progress


def load_data(recipe: Recipe, progress: Progress, folder: Path | None = None) -> Dataset:
    """The data set of a recipe, from another folder if it was moved, its classes merged as the recipe asks."""
    source = recipe.data.model_copy(update={"dir": str(folder)}) if folder else recipe.data
    return merge_classes(source.load(progress), recipe.superclasses)


def make_source(settings: Mapping[str, Any]) -> DatasetSource:
    """The data set that `settings` name ({"name": "mnist", "dir": ...}); RecipeError if they are wrong."""
    source: DatasetSource = choose("data", settings)
    return source


__all__ = [
    "MODES",
    "UNLABELLED",
    "ArrayFile",
    "Dataset",
    "DatasetSource",
    "FileImages",
    "Images",
    "LazyImages",
    "MappedImages",
    "Samples",
    "Shape",
    "Split",
    "apply_transforms",
    "find_images",
    "image_size",
    "iter_blocks",
    "load_data",
    "load_unlabelled",
    "make_source",
    "read_image",
    "resize_images",
    "scale_transforms",
    "select_transforms",
    "split_dataset",
    "stratified_subset",
    "view_transforms",
    "write_ids",
]
