"""Data sets, lazy image stores, splits and augmented views."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kdcompress.config.choices import make_choice
from kdcompress.config.recipe import Recipe
from kdcompress.data.base import Dataset, DatasetSource, class_lines, write_ids
from kdcompress.data.finding import find_images
from kdcompress.data.images import image_size, read_image
from kdcompress.data.npz import ArrayFile
from kdcompress.data.pixels import MODES, Shape, distorted
from kdcompress.data.resizing import resize_images
from kdcompress.data.samples import UNLABELLED, Samples
from kdcompress.data.splits import Split, split_dataset, stratified_subset
from kdcompress.data.stores import FileImages, Images, LazyImages, MappedImages, iter_blocks
from kdcompress.data.subclasses import merge_classes
from kdcompress.data.unlabelled import load_unlabelled
from kdcompress.data.views import apply_transforms, scale_transforms, select_transforms, view_transforms
from kdcompress.progress import Progress
from kdcompress.remote import local_path


def load_data(recipe: Recipe, progress: Progress, folder: Path | None = None) -> Dataset:
    """Load the data set of a recipe.

    Args:
        recipe: The recipe.
        progress: Receives notes and progress.
        folder: Folder that replaces `data.dir`, if the data were moved.

    Returns:
        The data set, with classes merged into the recipe's superclasses.
    """
    source = recipe.data.model_copy(update={"dir": str(folder)}) if folder else recipe.data
    for key in source.PATHS:
        local_path(getattr(source, key) or "", progress)  # what lies at a distance is copied, and the user sees it
    return merge_classes(source.load(progress), recipe.superclasses)


def make_source(settings: Mapping[str, Any]) -> DatasetSource:
    """Create a data source from settings.

    Args:
        settings: Such as {"name": "mnist", "dir": ...}.

    Returns:
        The source.

    Raises:
        RecipeError: If the settings are invalid.
    """
    source: DatasetSource = make_choice("data", settings)
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
    "class_lines",
    "distorted",
    "find_images",
    "image_size",
    "iter_blocks",
    "load_data",
    "load_unlabelled",
    "make_source",
    "merge_classes",
    "read_image",
    "resize_images",
    "scale_transforms",
    "select_transforms",
    "split_dataset",
    "stratified_subset",
    "view_transforms",
    "write_ids",
]
