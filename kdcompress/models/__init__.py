"""One file per architecture, each with build(input_shape, classes); loading a user's model in the underscored parts."""

from kdcompress.models._digest import model_digest
from kdcompress.models._inference import Forward, in_batches
from kdcompress.models._litert import LiteRunner, open_interpreter
from kdcompress.models._loading import (
    build_model,
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
from kdcompress.models._onnx import external_files, open_session
from kdcompress.models._saved_model import open_signature
from kdcompress.models._scaling import is_unscaled

__all__ = [
    "Forward",
    "LiteRunner",
    "build_model",
    "call_function",
    "external_files",
    "image_shape",
    "in_batches",
    "is_unscaled",
    "keep_model",
    "load_model",
    "load_saved_model",
    "model_digest",
    "open_interpreter",
    "open_session",
    "open_signature",
    "own_shape",
    "prepare_model",
    "save_model",
    "seed_everything",
]
