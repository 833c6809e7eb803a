"""One file per architecture, each with build(input_shape, classes); loading a user's model in the underscored parts."""

from kdcompress.models._digest import model_digest
from kdcompress.models._functions import call_function
from kdcompress.models._inference import Forward, in_batches
from kdcompress.models._litert import LiteRunner, open_interpreter
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
from kdcompress.models._onnx import (
    digest_of_model_file,
    external_files,
    external_tensors,
    load_onnx,
    open_session,
    run_bounded,
)
from kdcompress.models._saved_model import open_signature
from kdcompress.models._scaling import is_unscaled
from kdcompress.models._shapes import image_shape, own_shape, refuse_huge

__all__ = [
    "Forward",
    "LiteRunner",
    "build_model",
    "call_function",
    "digest_of_model_file",
    "external_files",
    "external_tensors",
    "image_shape",
    "in_batches",
    "is_unscaled",
    "keep_model",
    "load_model",
    "load_onnx",
    "load_saved_model",
    "load_weights",
    "model_digest",
    "open_interpreter",
    "open_session",
    "open_signature",
    "own_shape",
    "prepare_model",
    "refuse_huge",
    "run_bounded",
    "save_model",
    "seed_everything",
]
