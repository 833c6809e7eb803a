"""One file per architecture, each with build(input_shape, classes); loading a user's model in the underscored parts."""

from kdcompress.models._digest import model_digest
from kdcompress.models._inference import Forward
from kdcompress.models._loading import (
    call_function,
    image_shape,
    keep_model,
    load_model,
    load_saved_model,
    own_shape,
    prepare_model,
    save_model,
    seed_everything,
)

__all__ = [
    "Forward",
    "call_function",
    "image_shape",
    "keep_model",
    "load_model",
    "load_saved_model",
    "model_digest",
    "own_shape",
    "prepare_model",
    "save_model",
    "seed_everything",
]
