"""The page's programs against the desk's: pixels of pictures, inputs of teachers, logits of their outputs."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browser import Browser, Page, serving
from PIL import Image, ImageCms

from kdcompress.config.images import ImageSettings
from kdcompress.config.sections import PreprocessingSection
from kdcompress.data import Dataset, read_image
from kdcompress.data.pixels import resize_pixels
from kdcompress.demonstration._page import static_files
from kdcompress.methods._subclass_logits import class_logits
from kdcompress.teachers import InputAdapter
from kdcompress.teachers._conversion import LogitsConversion
from kdcompress.teachers._reading import OutputReading

SIZES = [(28, 28), (20, 31), (64, 48), (7, 5), (100, 3)]


@pytest.fixture(scope="module")
def tab(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """A page with the programs alone."""
    folder = tmp_path_factory.mktemp("programs")
    for name, content in static_files().items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "index.html").write_text("<!doctype html><title>programs</title>")
    with serving(folder) as url:
        opened = browser.page(f"{url}/index.html")
        for name in ("models", "pictures", "pixels", "digit", "paper", "timing"):
            opened.run(f"import('./app/{name}.js').then(m => {{ window.{name} = m }})")
        yield opened
        opened.close()


def photograph(height: int, width: int, channels: int = 3, seed: int = 0) -> np.ndarray:
    """Smooth shapes and noise, as photographs have: (height, width, channels)."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (height // 9 + 2, width // 9 + 2, channels), np.uint8)
    layers = [
        Image.fromarray(coarse[..., c]).resize((width, height), Image.Resampling.BICUBIC) for c in range(channels)
    ]
    smooth = np.stack([np.asarray(layer, np.int16) for layer in layers], axis=-1)
    return np.clip(smooth + rng.integers(-20, 21, smooth.shape), 0, 255).astype(np.uint8)


def encoded(image: Image.Image, kind: str, **how: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **how)
    return buffer.getvalue()


def order_limit() -> int:
    """Steps by which pixels may differ: early versions of Pillow always begin with the width."""
    tall = Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 20), np.uint8))
    both = tall.resize((31, 20), Image.Resampling.BILINEAR)
    height_first = tall.resize((20, 20), Image.Resampling.BILINEAR).resize((31, 20), Image.Resampling.BILINEAR)
    return 0 if np.array_equal(both, height_first) else 1


ORDER_LIMIT = order_limit()


def here(tab: Page, content: bytes, shape: tuple[int, int, int], settings: ImageSettings) -> np.ndarray:
    """The page's pixels of an image file."""
    height, width, channels = shape
    image = {"height": height, "width": width, "channels": channels, "resize": settings.resize, "direct": True}
    data = {**image, "background": list(settings.background_colour)}
    text = tab.run(
        f"(async () => {{const file = new Blob([Uint8Array.from(atob('{base64.b64encode(content).decode()}'),"
        "c => c.charCodeAt(0))]); const picture = await pictures.decode(file);"
        f"const p = models.pixelsOfPicture(picture, {json.dumps(image)}, {json.dumps(data)});"
        "return Array.from(p.data).join()})()"
    )
    return np.array(text.split(","), int).reshape(shape)


def difference(tab: Page, content: bytes, shape: tuple[int, int, int], settings: ImageSettings, folder: Path) -> int:
    """The largest difference of a pixel between page and desk."""
    (folder / "image").write_bytes(content)
    return int(np.abs(here(tab, content, shape, settings) - read_image(folder / "image", shape, settings)).max())


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("channels", [1, 3])
def test_png_files_give_the_pixels_of_the_desk_bit_for_bit(
    resize: Any, channels: int, tab: Page, tmp_path: Path
) -> None:
    settings = ImageSettings(resize=resize, background=(200, 30, 90))
    for index, (height, width) in enumerate([(28, 28), (57, 91), (211, 130), (12, 9), (1, 40), (333, 500)]):
        for mode in ("RGB", "L", "P"):
            image = Image.fromarray(photograph(height, width, seed=index)).convert(mode)
            for size in SIZES if (height, width) == (57, 91) else SIZES[:2]:
                content = encoded(image, "PNG")
                assert difference(tab, content, (*size, channels), settings, tmp_path) <= ORDER_LIMIT


@pytest.mark.parametrize("quality", [75, 95])
def test_jpeg_files_differ_by_one_step_at_most(quality: int, tab: Page, tmp_path: Path) -> None:
    for index, (height, width) in enumerate([(224, 224), (300, 451)]):
        image = Image.fromarray(photograph(height, width, seed=index))
        for channels in (1, 3):
            content = encoded(image, "JPEG", quality=quality)
            assert difference(tab, content, (96, 96, channels), ImageSettings(), tmp_path) <= 1


def test_pictures_are_turned_upright_and_colour_profiles_are_not_applied(tab: Page, tmp_path: Path) -> None:
    image = Image.fromarray(photograph(40, 60))
    for orientation in (1, 3, 6, 8, 5):
        exif = Image.Exif()
        exif[0x0112] = orientation
        content = encoded(image, "JPEG", quality=95, exif=exif)
        assert difference(tab, content, (28, 28, 3), ImageSettings(), tmp_path) <= 1
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    content = encoded(image, "PNG", icc_profile=profile)
    assert difference(tab, content, (28, 28, 3), ImageSettings(), tmp_path) == 0


def test_transparent_pixels_lie_on_the_background(tab: Page, tmp_path: Path) -> None:
    pixels = photograph(50, 50, 4)
    settings = ImageSettings(background=(10, 250, 100))
    for alpha, limit in ((np.uint8(0), 0), (np.uint8(255), 0), (pixels[..., 3] | 0x80, 2)):
        pixels[..., 3] = alpha
        content = encoded(Image.fromarray(pixels), "PNG")
        assert difference(tab, content, (28, 28, 3), settings, tmp_path) <= limit


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
@pytest.mark.parametrize("shape", [(224, 160, 3), (28, 28, 3), (20, 30, 1), (32, 32, 4)])
def test_pixels_of_the_data_become_those_of_a_teacher(resize: Any, shape: tuple[int, int, int], tab: Page) -> None:
    image = {"height": shape[0], "width": shape[1], "channels": shape[2], "resize": resize}
    for channels in (1, 3, 4):
        pixels = photograph(28, 28, channels)
        done = tab.run(
            f"models.pixelsOfPixels(new pixels.Pixels(Uint8Array.from({pixels.ravel().tolist()}), 28, 28, {channels}),"
            f"{json.dumps(image)}).data.join()"
        )
        expected = resize_pixels(pixels, shape, resize)
        np.testing.assert_allclose(np.array(done.split(","), int).reshape(shape), expected, rtol=0, atol=ORDER_LIMIT)


@pytest.mark.parametrize("nchw", [False, True])
@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"channel_order": "bgr"},
        {"scale": 1 / 255, "mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)},
        {"scale": 1.0, "mean": (103.9, 116.8, 123.7), "channel_order": "bgr"},
    ],
)
def test_the_input_of_a_teacher_is_prepared_as_at_the_desk(settings: dict[str, Any], nchw: bool, tab: Page) -> None:
    from kdcompress.demonstration._teacher import _input

    teacher = LogitsConversion()
    teacher.adapter = InputAdapter((6, 5, 3), PreprocessingSection(**settings), nchw)
    pixels = photograph(6, 5)
    done = tab.run(
        "(() => {class Tensor {constructor(type, data, shape) {Object.assign(this, {type, data, shape})}}"
        "const session = {inputNames: ['i'], outputNames: ['o'], inputMetadata: [{type: 'float32'}]};"
        f"const facts = {{role: 'teacher', input: {json.dumps(_input(teacher))}, outputs: {{}}}};"
        "const model = new models.Model({Tensor}, session, facts);"
        f"const {{data, shape}} = model.input(new pixels.Pixels(Uint8Array.from({pixels.ravel().tolist()}), 5, 6, 3));"
        "return [Array.from(data), shape]})()"
    )
    expected = np.asarray(teacher.adapter.prepare(pixels[None]), np.float32)
    assert tuple(done[1]) == expected.shape
    np.testing.assert_array_equal(np.array(done[0], np.float32).reshape(expected.shape), expected)


@pytest.mark.parametrize(
    ("reading", "columns", "single"),
    [
        (OutputReading(), None, False),
        (OutputReading(), (2, 0, 3, 1), False),
        (OutputReading("probabilities"), None, False),
        (OutputReading("probabilities", percent=True, floor=0.005, gap=0.005), (3, 2, 1, 0), False),
        (OutputReading("sigmoids"), None, False),
        (OutputReading("sigmoids", floor=0.01, gap=0.01), None, False),
        (OutputReading("sigmoids"), None, True),
        (OutputReading(), (1, 0), True),
    ],
)
def test_outputs_become_the_logits_of_the_desk(
    reading: OutputReading, columns: tuple[int, ...] | None, single: bool, tab: Page
) -> None:
    from kdcompress.demonstration._teacher import _outputs

    teacher = LogitsConversion()
    teacher.reading, teacher.single_output = reading, single
    teacher.adapter = InputAdapter((4, 4, 1), PreprocessingSection(), columns=columns)
    rng = np.random.default_rng(0)
    outputs = rng.normal(size=(6, 1 if single else 4)).astype(np.float32)
    if reading.kind != "logits":
        outputs = rng.uniform(0, 1, outputs.shape).astype(np.float32)
        outputs[0, 0], outputs[1, -1] = 0, 1
        outputs *= np.float32(100 if reading.percent else 1)
    for row in outputs:
        done = tab.run(f"models.toLogits({row.tolist()}, {json.dumps(_outputs(teacher, None))})")
        np.testing.assert_allclose(done, teacher.to_logits(row[None])[0], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("sizes", [(2, 2, 2), (1, 3, 2)])
def test_logits_of_subclasses_become_those_of_their_classes(sizes: tuple[int, ...], tab: Page) -> None:
    logits = np.random.default_rng(1).normal(scale=9, size=sum(sizes)).astype(np.float32)
    done = tab.run(f"models.toLogits({logits.tolist()}, {{subclasses: {list(sizes)}}})")
    np.testing.assert_allclose(done, np.asarray(class_logits(logits[None], sizes))[0], rtol=1e-5)


def test_a_digit_on_paper_is_found_and_made_one_of_mnist(digits: Dataset, tab: Page) -> None:
    """Test digits as photographs: dark ink on paper that is lit from one side, beside the paper's dark edge."""
    found = []
    for index in range(0, 200, 20):
        digit = digits.test.images[index, ..., 0]
        ink = np.asarray(Image.fromarray(digit).resize((240, 240), Image.Resampling.BICUBIC), float) / 255
        paper = np.tile(np.linspace(230, 150, 640), (480, 1))
        paper[:, :90] = 60
        paper[120:360, 200:440] *= 1 - 0.75 * ink
        noisy = paper + np.random.default_rng(index).normal(scale=3, size=paper.shape)
        rgba = np.full((480, 640, 4), 255, np.uint8)
        rgba[..., :3] = np.clip(noisy, 0, 255).astype(np.uint8)[..., None]
        content = base64.b64encode(encoded(Image.fromarray(rgba[..., :3]), "PNG")).decode()
        text = tab.run(
            f"pictures.decode(new Blob([Uint8Array.from(atob('{content}'), c => c.charCodeAt(0))])).then(picture => "
            "digit.centred(paper.inkOnPaper(picture), 28).data.join())"
        )
        seen = np.array(text.split(","), float).reshape(28, 28)
        found.append(np.corrcoef(seen.ravel(), digit.ravel())[0, 1])
    assert np.median(found) > 0.94
    assert min(found) > 0.75
    blank = "{data: new Uint8ClampedArray(4 * 640 * 480).fill(200), width: 640, height: 480}"
    assert tab.run(f"paper.inkOnPaper({blank})") is None


def test_the_middle_of_times(tab: Page) -> None:
    assert tab.run("[timing.median([3, 1, 2]), timing.median([4, 1, 2, 3]), timing.median([7])]") == [2, 2.5, 7]
    # A clock of our own, which only calls move: each turn takes longer than the one before
    tab.run(
        "window.ms = 0; window.slow = 1; performance.now = () => ms; window.take = t => async () => { ms += t * slow }"
    )
    timed = tab.run("timing.timeInTurns([take(80), take(20)], () => { slow += 0.5; return false })")
    turns = timed["turns"]
    assert 3 <= turns <= 9
    slow = 1 + 0.5 * (turns + 1) / 2
    assert timed["times"] == [pytest.approx(80 * slow), pytest.approx(20 * slow)]
    assert timed["ratio"] == pytest.approx(4)
    assert tab.run("timing.timeInTurns([take(5)], () => false)")["ratio"] is None
    assert tab.run("timing.timeInTurns([take(5)], () => true)") is None
