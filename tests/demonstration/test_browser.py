"""The page in a headless Chromium: the logits of the desk, every way in, and what it says when it cannot work."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from browser import Browser, Page, serving
from PIL import Image

import kdcompress
from kdcompress.demonstration._models import PageModel
from kdcompress.demonstration._ort_web import ADDRESS, BINARY, MODULE

READY = "document.getElementById('status').hidden"
TIMED = "document.querySelector('#speed span').textContent !== ''"


def opened(browser: Browser, url: str, **how: Any) -> Page:
    page = browser.page(f"{url}/index.html", **how)
    page.wait(READY)
    return page


def compared(tab: Page) -> list[list[str]]:
    """Have the page compare its logits with the desk's, and read the rows: file, same answers, largest difference."""
    tab.click("#check button")
    tab.wait("!document.querySelector('#check .scroll').hidden")
    rows = "[...document.querySelectorAll('#check tbody tr')]"
    return list(tab.run(f"{rows}.map(row => [...row.cells].map(cell => cell.textContent))"))


def choose(page: Page, way: str) -> None:
    page.run(f"document.querySelector('input[value={way}]').click()")


def answer(page: Page, role: str) -> tuple[str, str]:
    return page.text(f"#{role} .top"), page.text(f"#{role} .sure")


@pytest.mark.parametrize(("width", "dark"), [(390, True), (1280, False)])
def test_logits_are_those_of_the_desk_and_nothing_scrolls_sideways(
    width: int, dark: bool, page: Path, browser: Browser
) -> None:
    with serving(page) as url:
        tab = opened(browser, url, width=width, dark=dark)
        choose(tab, "samples")
        rows = compared(tab)
        assert [row[0] for row in rows] == ["student-fp32", "student-int8", "teacher"]
        for name, same, difference in rows:
            assert same == "12 of 12", name
            assert float(difference) < 1e-3, name
        assert tab.text("#check [role=status]") == "The same answer for every image."
        tab.click(".samples button")
        tab.wait(TIMED)
        assert tab.run("document.documentElement.scrollWidth") <= width
        assert tab.run("[...document.querySelectorAll('main *')].every(e => e.closest('.scroll') || "
                       f"e.getBoundingClientRect().right <= {width})")  # fmt: skip
        paper = tab.run("getComputedStyle(document.body).backgroundColor")
        assert paper == ("rgb(20, 23, 26)" if dark else "rgb(255, 255, 255)")
        assert tab.problems() == []
        assert all(address.startswith(f"{url}/") for address in tab.requests())
        tab.close()


def test_what_it_shows_for_a_test_image_is_what_the_desk_computed(page: Path, browser: Browser) -> None:
    facts = json.loads((page / "demo.json").read_text())
    with serving(page) as url:
        tab = opened(browser, url)
        choose(tab, "samples")
        assert tab.run("document.querySelectorAll('.samples button').length") == 12
        for index, sample in enumerate(facts["samples"][-3:], start=9):
            tab.click(f".samples li:nth-child({index + 1}) button")
            tab.wait(TIMED)
            tops = {}
            for role, name in (("teacher", "teacher"), ("student", "student-fp32")):
                logits = np.array(sample["logits"][name])
                sure = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
                tops[role] = facts["classes"][logits.argmax()]
                assert answer(tab, role) == (tops[role], f"{100 * sure.max():.1f} %")
                order = np.argsort(-sure, kind="stable")[:5]
                shown = tab.run(f"[...document.querySelectorAll('#{role} .class')].map(e => e.textContent)")
                assert shown == [facts["classes"][one] for one in order]
            same = tops["teacher"] == tops["student"]
            assert tab.text("#verdict").startswith("They agree" if same else "They differ")
            assert f"The label is {facts['classes'][sample['label']]}." in tab.text("#verdict")
        assert "in this browser, one thread" in tab.text("#speed")
        assert [float(tab.text(f"#{role} .time").removesuffix(" ms")) > 0 for role in ("teacher", "student")] == [
            True
        ] * 2
        tab.run("document.querySelector('input[value=int8]').click()")
        tab.wait(
            "document.querySelector('#student dd').textContent !== " + json.dumps(facts["models"][0]["facts"][0][1])
        )
        tab.wait(TIMED)
        logits = np.array(facts["samples"][-1]["logits"]["student-int8"])
        sure = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert answer(tab, "student") == (facts["classes"][logits.argmax()], f"{100 * sure.max():.1f} %")
        assert tab.problems() == []
        tab.close()


def stroke(tab: Page, digit: str) -> None:
    """Draw a digit on the pad with the mouse."""
    tab.run("document.querySelector('.pad').scrollIntoView({block: 'center'})")
    left, top, side = tab.run("(() => {const b = document.querySelector('.pad').getBoundingClientRect();"
                              "return [b.x, b.y, b.width]})()")  # fmt: skip
    turn = [math.tau * step / 40 for step in range(42)]
    lines = {
        "0": [(0.5 + 0.16 * math.sin(a), 0.5 - 0.28 * math.cos(a)) for a in turn],
        "1": [(0.5 + 0.02 * math.sin(a), 0.2 + 0.6 * a / math.tau) for a in turn],
    }
    tab.drag([[left + x * side, top + y * side] for x, y in lines[digit]])


@pytest.mark.parametrize("width", [390, 1280])
def test_a_drawn_digit_is_placed_as_mnist_places_it_and_read(width: int, page: Path, browser: Browser) -> None:
    pixels_of = "document.querySelector('#student canvas').getContext('2d').getImageData(0, 0, 28, 28).data"
    with serving(page) as url:
        tab = opened(browser, url, width=width)
        for digit in ("0", "1"):
            tab.click("#clear")
            stroke(tab, digit)
            tab.wait(TIMED)
            pixels = np.array(tab.run(f"[...{pixels_of}]"))
            grey = pixels.reshape(28, 28, 4)[..., 0].astype(float)
            rows, columns = np.flatnonzero(grey.any(axis=1)), np.flatnonzero(grey.any(axis=0))
            assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20
            middle = [(grey.sum(axis=axis) * np.arange(28)).sum() / grey.sum() for axis in (0, 1)]
            assert np.abs(np.array(middle) - 14).max() <= 0.5 + 1e-9
            assert answer(tab, "teacher")[0] == digit
            desk = onnxruntime.InferenceSession(page / "models/student-fp32.onnx")
            (logits,) = desk.run(None, {"image": grey.reshape(1, 28, 28, 1).astype(np.float32)})
            assert answer(tab, "student")[0] == str(logits.argmax())
        assert [one for one in tab.problems() if "willReadFrequently" not in one] == []  # which is this test's doing
        tab.close()


def test_a_picture_is_chosen_and_another_file_is_refused(page: Path, browser: Browser, tmp_path: Path) -> None:
    facts = json.loads((page / "demo.json").read_text())
    sample = facts["samples"][4]
    pixels = np.fromfile(page / sample["pixels"]["student-fp32"], np.uint8).reshape(28, 28)
    Image.fromarray(pixels).save(tmp_path / "four.png")
    (tmp_path / "no.png").write_text("no picture")
    with serving(page) as url:
        tab = opened(browser, url)
        choose(tab, "file")
        tab.choose_files("#way-file input", tmp_path / "four.png")
        tab.wait(TIMED)
        logits = np.array(sample["logits"]["student-fp32"])
        sure = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
        assert answer(tab, "student") == (facts["classes"][logits.argmax()], f"{100 * sure.max():.1f} %")
        assert "label" not in tab.text("#verdict")
        tab.choose_files("#way-file input", tmp_path / "no.png")
        tab.wait("document.getElementById('verdict').textContent.startsWith('no.png is no picture')")
        assert tab.text("#speed").strip() == ""
        tab.close()


def test_the_camera_answers_live_and_holds_a_picture(page: Path, browser: Browser) -> None:
    with serving(page) as url:
        tab = opened(browser, url)
        choose(tab, "camera")
        tab.click("#camera")
        tab.wait("!document.querySelector('video').hidden")
        tab.wait("document.getElementById('verdict').textContent.match(/agree|differ|No digit is seen/)")
        tab.click("#hold")
        tab.wait("document.querySelector('video').hidden && document.querySelector('video').srcObject === null")
        assert tab.problems() == []
        tab.close()


def test_it_works_with_the_keyboard_alone(page: Path, browser: Browser) -> None:
    with serving(page) as url:
        tab = opened(browser, url)
        seen = []
        for _ in range(40):
            tab.key("Tab")
            focused = tab.run("(() => {const e = document.activeElement; return [e.id || e.value || e.textContent, "
                              "e.matches('.samples button'), e.name ?? '']})()")  # fmt: skip
            seen.append(focused[0])
            if focused[2] == "way":
                tab.key("ArrowRight")
                assert tab.run("!document.getElementById('way-samples').hidden")
            if focused[1]:
                tab.key("Enter")
                break
        tab.wait(TIMED)
        assert tab.text("#verdict").startswith(("They agree", "They differ")), seen
        named = "e.getAttribute('aria-label') || e.textContent.trim() || e.closest('label')"
        assert tab.run(f"[...document.querySelectorAll('button, input, canvas[role=img], video')].every(e => {named})")
        tab.close()


def test_opened_as_a_file_it_says_what_to_do(page: Path, browser: Browser) -> None:
    tab = browser.page(f"file://{page}/index.html")
    tab.wait("!document.getElementById('as-file').hidden")
    assert "python -m http.server" in tab.text("#as-file")
    assert tab.run("document.getElementById('stage').hidden && document.getElementById('status').hidden")
    tab.close()


@pytest.mark.parametrize("name", [MODULE, BINARY])
def test_a_changed_runtime_is_refused_by_the_browser(name: str, page: Path, browser: Browser, tmp_path: Path) -> None:
    changed = shutil.copytree(page, tmp_path / "page")
    with (changed / "ort" / name).open("r+b") as file:
        file.seek(5000)
        file.write(b"/**/")
    with serving(changed) as url:
        tab = browser.page(f"{url}/index.html")
        tab.wait("document.getElementById('status').textContent.startsWith('The page cannot start')")
        assert tab.run("document.getElementById('stage').hidden")
        tab.close()


def test_a_teacher_that_the_browser_cannot_open_leaves_the_student(
    page: Path, browser: Browser, tmp_path: Path
) -> None:
    changed = shutil.copytree(page, tmp_path / "page")
    (changed / "models/teacher.onnx").write_bytes(b"no model")
    with serving(changed) as url:
        tab = opened(browser, url)
        assert "This browser cannot open it" in tab.text("#teacher")
        choose(tab, "samples")
        tab.click(".samples button")
        tab.wait(TIMED)
        assert tab.text("#verdict").startswith("The student says ")
        assert "in this browser, one thread" in tab.text("#speed")
        tab.close()


def test_a_page_without_an_int8_file_offers_none(
    finished: Path, ort_web: Path, browser: Browser, tmp_path: Path
) -> None:
    kdcompress.demo(finished, out=tmp_path / "demo", ort_web=ort_web)  # whose teacher is a Keras model
    with serving(tmp_path / "demo") as url:
        tab = opened(browser, url)
        assert tab.run("document.getElementById('precisions')") is None
        rows = compared(tab)
        assert [row[:2] for row in rows] == [["student-fp32", "12 of 12"], ["teacher", "12 of 12"]]
        assert all(float(row[2]) < 1e-3 for row in rows)
        assert tab.problems() == []
        tab.close()


def test_weights_beside_the_teachers_file_are_loaded(page: Path, browser: Browser, tmp_path: Path) -> None:
    changed, name = shutil.copytree(page, tmp_path / "page"), "teacher.onnx.data"
    model = onnx.load(page / "models/teacher.onnx")
    onnx.save(model, changed / "models/teacher.onnx", save_as_external_data=True, location=name, size_threshold=0)
    files = PageModel("teacher", None, changed / "models/teacher.onnx", (28, 28, 1), "squash").files
    assert files == {one: changed / "models" / one for one in ("teacher.onnx", name)}
    facts = json.loads((page / "demo.json").read_text())
    next(one for one in facts["models"] if one["role"] == "teacher")["beside"] = {name: f"models/{name}"}
    (changed / "demo.json").write_text(json.dumps(facts))
    with serving(changed) as url:
        tab = opened(browser, url)
        assert compared(tab)[-1][:2] == ["teacher", "12 of 12"]
        tab.close()


def test_the_runtime_is_taken_from_the_cdn_and_checked(
    page: Path, ort_web: Path, tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """The CDN is a server of our own, to which the browser is led."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl, which makes the certificate of the stand-in for the CDN, is not installed")
    host = ADDRESS.split("/")[2]
    certificate = tmp_path / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={host}"]
    subprocess.run([*command, "-keyout", certificate, "-out", tmp_path / "public.pem"], check=True, capture_output=True)
    certificate.write_bytes(certificate.read_bytes() + (tmp_path / "public.pem").read_bytes())
    files = tmp_path / "cdn" / ADDRESS.split("/", 3)[3]
    files.mkdir(parents=True)
    for name in (MODULE, BINARY):
        shutil.copy(ort_web / "dist" / name, files)
    remote = shutil.copytree(page, tmp_path / "page", ignore=shutil.ignore_patterns("ort"))
    for name in ("index.html", "demo.json"):
        text = (remote / name).read_text()
        text = text.replace("&#39;wasm-unsafe-eval&#39;", f"&#39;wasm-unsafe-eval&#39; {ADDRESS}")
        text = text.replace("connect-src &#39;self&#39;", f"connect-src &#39;self&#39; {ADDRESS}").replace(
            '"ort/', f'"{ADDRESS}'
        )
        (remote / name).write_text(text)
    with serving(tmp_path / "cdn", certificate) as cdn, serving(remote) as url:
        port = cdn.rpartition(":")[2]
        flags = ("--ignore-certificate-errors", f"--host-resolver-rules=MAP {host} 127.0.0.1:{port}")
        led = Browser(tmp_path_factory.mktemp("led"), *flags)
        try:
            tab = opened(led, url)
            assert {ADDRESS + name for name in (MODULE, BINARY)} <= set(tab.requests())
            assert tab.problems() == []
            tab.close()
            for name in (MODULE, BINARY):
                content = (files / name).read_bytes()
                (files / name).write_bytes(content.replace(b"Microsoft", b"Somebody!") + b"\n")
                tab = led.page(f"{url}/index.html?{name}")
                tab.call("Network.setCacheDisabled", cacheDisabled=True)
                tab.call("Page.reload", ignoreCache=True)
                tab.wait("document.getElementById('status')?.textContent.startsWith('The page cannot start')")
                tab.close()
                (files / name).write_bytes(content)
        finally:
            led.close()
