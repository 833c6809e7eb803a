"""Packages that are not installed, or that do not load: which one it is, and the command that brings it."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Iterator

from kdcompress.errors import KDCompressError, MissingExtraError, one_line

WHOLE = "pip install kdcompress"
GUIDE = 'see "When a runtime does not start" in guides/raspberry-pi.md of the documentation'
# What pip is asked for -> the packages that it brings, by the names to import them by. What is used on a device is
# brought by itself; the rest of kdcompress comes as a whole
_BROUGHT_BY = {
    "ai-edge-litert": ("ai_edge_litert",),
    "filelock": ("filelock",),
    "ncnn": ("ncnn",),
    "--no-deps pnnx": ("pnnx",),  # its Python part alone needs PyTorch, which pip would bring
    "numpy": ("numpy",),
    "onnxruntime": ("onnxruntime",),
    "openvino": ("openvino",),
    "pillow": ("PIL",),
    "platformdirs": ("platformdirs",),
    "pydantic": ("pydantic",),
    "rich": ("rich",),
    "tomli": ("tomli",),
    "tomli-w": ("tomli_w",),
    "typer": ("typer",),
    "typing-extensions": ("typing_extensions",),
    "kdcompress": (
        "cpuinfo", "h5py", "imagehash", "jinja2", "keras", "keras_flops", "matplotlib", "onnx", "optuna", "psutil",
        "regex", "scipy", "sklearn", "sqlalchemy", "tensorflow", "tensorflow_model_optimization", "tf2onnx", "tf_keras",
    ),
    '"kdcompress[cluster]"': ("ray",),
    '"kdcompress[examples]"': ("mlxtend",),
    '"kdcompress[int4]"': ("ai_edge_quantizer", "onnx_ir"),
    '"kdcompress[remote]"': ("aiohttp", "fsspec", "s3fs"),
    '"kdcompress[mlflow]"': ("alembic", "mlflow"),
    '"kdcompress[postgresql]"': ("psycopg",),
    '"kdcompress[tensorboard]"': ("tensorboard",),
    '"kdcompress[torch]"': ("onnxscript", "torch"),
    "keras-hub": ("keras_hub",),
    "transformers": ("transformers",),
}  # fmt: skip
BROUGHT_BY = {module: package for package, modules in _BROUGHT_BY.items() for module in modules}
# Where the name of the package is not the name to import with dashes
_PACKAGES = {"PIL": "pillow", "cpuinfo": "py-cpuinfo", "mlflow": "mlflow-skinny", "sklearn": "scikit-learn"}
_MODULES = {package: module for module, package in _PACKAGES.items()}


def package_of(module: str) -> str:
    """Return the name of the package that has a module.

    Args:
        module: Name to import it by.
    """
    return _PACKAGES.get(module, module.replace("_", "-"))


def is_installed(module: str) -> bool:
    """Return whether a package is installed, without importing it.

    Args:
        module: Name to import it by.
    """
    try:
        return importlib.util.find_spec(module.partition(".")[0]) is not None
    except (ImportError, ValueError):
        return False


def remedy_for(module: str) -> str:
    """Return what is missing and the command that brings it, such as "keras: pip install kdcompress".

    Args:
        module: Name to import it by.
    """
    name = module.partition(".")[0]
    return f"{package_of(name)}: pip install {BROUGHT_BY.get(name, package_of(name))}"


def missing_package(exc: BaseException, subject: str) -> MissingExtraError | None:
    """Find out whether an error is due to a package that is not installed, or that does not load here.

    Args:
        exc: An error, which may be caused by a failed import.
        subject: What failed, for the message.

    Returns:
        The error to raise in its place; None if it has another cause, or says itself what to install.
    """
    if isinstance(exc, KDCompressError) and "pip install" in str(exc):
        return None
    causes = [cause for cause in _causes(exc) if isinstance(cause, ImportError)]
    for cause in causes:
        module = _module(cause)
        if module in BROUGHT_BY and not is_installed(module):
            package, install = package_of(module), BROUGHT_BY[module]
            return MissingExtraError(f"{subject} needs {package}, which is not installed: pip install {install}")
    broken = next((cause for cause in causes if _module(cause) in BROUGHT_BY), None)
    if broken is None or isinstance(exc, KDCompressError):
        return None
    package = package_of(_module(broken))
    return MissingExtraError(f"{package} is installed, but does not load here ({one_line(broken, 160)}); {GUIDE}")


@contextlib.contextmanager
def naming_packages(subject: str) -> Iterator[None]:
    """Context manager, and decorator of functions, in which a missing package is named with what brings it.

    Args:
        subject: What is done there, for the message.

    Raises:
        MissingExtraError: A package is missing, or does not load here.
    """
    try:
        yield
    except Exception as exc:
        if error := missing_package(exc, subject):
            raise error from exc
        raise


def _causes(exc: BaseException | None) -> Iterator[BaseException]:
    while exc is not None:
        yield exc
        exc = exc.__cause__


def _module(exc: ImportError) -> str:
    """The package whose import failed, which `importlib.metadata` names as pip does."""
    name = (exc.name or "").partition(".")[0]
    return _MODULES.get(name, name.replace("-", "_"))
