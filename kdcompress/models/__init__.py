"""The model zoo, one file per architecture with MODEL, an Architecture; loading and saving of Keras models."""

from kdcompress.formats.onnx.external import digest_of_model_file, external_files
from kdcompress.models._base import Architecture
from kdcompress.models._digest import model_digest
from kdcompress.models._functions import call_function, is_keras_model, load_from_function
from kdcompress.models._graph import Embedding, find_embedding, graph_of, head_index, layers_of
from kdcompress.models._inference import Forward
from kdcompress.models._loading import load_model, load_saved_model, load_weights, seed_everything
from kdcompress.models._probing import build_model, prepare_classifier, prepare_model
from kdcompress.models._saving import cache_model, check_keras_model, save_model
from kdcompress.models._scaling import lacks_rescaling
from kdcompress.models._shapes import check_image_size, declared_shape, resolve_image_shape

__all__ = [
    "Architecture",
    "Embedding",
    "Forward",
    "build_model",
    "cache_model",
    "call_function",
    "check_image_size",
    "check_keras_model",
    "declared_shape",
    "digest_of_model_file",
    "external_files",
    "find_embedding",
    "graph_of",
    "head_index",
    "is_keras_model",
    "lacks_rescaling",
    "layers_of",
    "load_from_function",
    "load_model",
    "load_saved_model",
    "load_weights",
    "model_digest",
    "prepare_classifier",
    "prepare_model",
    "resolve_image_shape",
    "save_model",
    "seed_everything",
]
