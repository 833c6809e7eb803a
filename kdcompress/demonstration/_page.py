"""The page's HTML, style and programs."""

from __future__ import annotations

from importlib.resources import files
from importlib.resources.abc import Traversable

from kdcompress._version import __version__
from kdcompress.data import Dataset
from kdcompress.demonstration._measured import desk_times, known_tiles
from kdcompress.demonstration._models import PageModel
from kdcompress.demonstration._ort_web import VERSION, WebRuntime
from kdcompress.demonstration._samples import ink
from kdcompress.formatting import clean, integer, size
from kdcompress.reporting._headline import table
from kdcompress.reporting._names import model_name, teacher_names
from kdcompress.reporting._page import lead, warnings_of
from kdcompress.reporting._run_data import RunData
from kdcompress.reporting._templates import template_environment
from kdcompress.verification.origin import synthetic_notice

_PACKAGE = "kdcompress.demonstration"
_PRECISIONS = {"fp32": "float32", "int8": "int8"}
_CHANNELS = {1: "grey", 3: "RGB", 4: "RGB with an alpha channel"}
_FITS = {"squash": "squashed to", "crop": "cut to its centre and resized to", "pad": "padded and resized to"}


def render(run: RunData, models: list[PageModel], dataset: Dataset, n_samples: int, runtime: WebRuntime) -> str:
    """Render index.html.

    Args:
        run: A finished run.
        models: The models of the page.
        dataset: Data set of the run.
        n_samples: Number of test images on the page.
        runtime: Runtime of the page.

    Returns:
        The document; whatever comes from the run is escaped.
    """
    notice = synthetic_notice(run.manifest.get("dataset", {}))
    students = [model for model in models if model.role == "student"]
    digits = ink(dataset) is not None
    return template_environment(_PACKAGE).get_template("index.html.j2").render(
        policy=content_policy(runtime),
        version=__version__,
        title=clean(run.name),
        notice=notice,
        lead=lead(run),
        warnings=[text for text in warnings_of(run) if not (notice and text.startswith("SYNTHETIC"))],
        teacher=clean(teacher_names(run.recipe)),
        student=clean(model_name(run.recipe["student"]["model"])),
        precisions=[(model.precision, _PRECISIONS[model.precision or "fp32"]) for model in students]
        if len(students) > 1
        else [],
        digits=digits,
        invitation="Draw a digit, or choose a test image." if digits else "Choose a picture.",
        tiles=known_tiles(run),
        summary=table(run),
        times=desk_times(run),
        n_test=integer(len(run.finished_outputs.ids)),
        n_samples=n_samples,
        runtime_size=size(runtime.bytes),
        runtime_version=VERSION,
        about=_about(models, dataset, runtime),
    )  # fmt: skip


def content_policy(runtime: WebRuntime) -> str:
    """Compose the Content Security Policy: no inline programs, nothing from elsewhere but the runtime, no text as HTML.

    Args:
        runtime: Runtime of the page.
    """
    elsewhere = f" {runtime.address}" if runtime.remote else ""
    return (
        f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval'{elsewhere}; connect-src 'self'{elsewhere}; "
        "style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )


def static_files() -> dict[str, bytes]:
    """Return the files that are the same on every page, by their paths."""
    style = "".join(
        files(package).joinpath("templates", name).read_text(encoding="utf-8")
        for package, name in (("kdcompress.reporting", "report.css"), (_PACKAGE, "demo.css"))
    )
    return {"style.css": style.encode(), **dict(_walk(files(_PACKAGE).joinpath("static"), ""))}


def _walk(folder: Traversable, prefix: str) -> list[tuple[str, bytes]]:
    found = []
    for item in sorted(folder.iterdir(), key=lambda one: one.name):
        if item.is_dir():
            found += _walk(item, f"{prefix}{item.name}/")
        else:
            found.append((f"{prefix}{item.name}", item.read_bytes()))
    return found


def _about(models: list[PageModel], dataset: Dataset, runtime: WebRuntime) -> list[str]:
    """Say how pixels are prepared, what runs the models, and how the page is served."""
    return [_pixels(models, dataset), *_drawing(dataset), _running(runtime), _serving(runtime)]


def _pixels(models: list[PageModel], dataset: Dataset) -> str:
    height, width, channels = dataset.input_shape
    settings = dataset.image_settings
    colour = "white" if settings.background_colour == (255, 255, 255) else f"the colour {settings.background_colour}"
    alone = "" if channels == 4 else f", transparent pixels lie on {colour}"
    text = (
        f"A picture is turned upright{alone}; it becomes {_CHANNELS[channels]} and is {_FITS[settings.resize]} "
        f"{width} × {height} pixels by Pillow's bilinear filter with antialiasing, as for the training images. Colour "
        "profiles are not applied. Both models take pixels of 0 to 255; the student's preprocessing is in its file."
    )
    teacher = next((model for model in models if model.role == "teacher"), None)
    if teacher is not None and teacher.shape != dataset.input_shape:
        high, wide, depth = teacher.shape
        text += f" The teacher's are {wide} × {high}, {_CHANNELS[depth]}."
    if settings.scale is not None:
        text += " Picture files are not taken here: the run's store other numbers, which browsers do not read."
    return text


def _drawing(dataset: Dataset) -> list[str]:
    if ink(dataset) is None:
        return []
    return [
        "A drawn digit is treated as those of MNIST were: scaled until its longer side is 20 of 28 pixels, and placed "
        "with its centre of mass in the middle. In the camera's pictures a digit on paper is looked for first: what is "
        "darker than the paper around it, with the contrast raised."
    ]


def _running(runtime: WebRuntime) -> str:
    source = f"loaded from {runtime.address}" if runtime.remote else "which lies beside the page"
    return (
        f"Both models are run by onnxruntime-web {VERSION} (WebAssembly, {size(runtime.bytes)}), {source}; the browser "
        "refuses it if its hash differs from the known one. It computes in one thread, since more need a server that "
        "isolates the page from other origins. Times are of this browser and machine, and say nothing of another; "
        "models take turns, and the median is shown."
    )


def _serving(runtime: WebRuntime) -> str:
    offline = "needs no network beyond that server" if not runtime.remote else "needs the network for the runtime"
    return (
        f"The page is a folder of files: any web server can serve it, such as `python -m http.server` in it, and it "
        f"{offline}. Nothing that you show it is sent anywhere."
    )
