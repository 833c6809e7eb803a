"""One file per architecture, each with build(input_shape, classes); loading a user's model in the underscored parts."""

from kdcompress.formats.onnx.external import digest_of_model_file, external_files
from kdcompress.models._digest import model_digest
from kdcompress.models._functions import call_function
from kdcompress.models._inference import Forward
from kdcompress.models._loading import (
    build_model,
    keep_model,
    load_model,
    load_saved_model,
    load_weights,
    prepare_model,
    save_model,
    seed_everything,
)
from kdcompress.models._scaling import is_unscaled
from kdcompress.models._shapes import image_shape, own_shape, refuse_huge

__all__ = [
    "Forward",
    "build_model",
    "call_function",
    "digest_of_model_file",
    "external_files",
    "image_shape",
    "is_unscaled",
    "keep_model",
    "load_model",
    "load_saved_model",
    "load_weights",
    "model_digest",
    "own_shape",
    "prepare_model",
    "refuse_huge",
    "save_model",
    "seed_everything",
]
