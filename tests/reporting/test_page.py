"""The page and the card: at every stage, of any names, with nothing loaded and nothing executed."""

from __future__ import annotations

import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from conftest import Recorder
from made_up_run import DIGITS, STAGES, make

import kdcompress
from kdcompress.digests import sha256_of
from kdcompress.errors import RunError, UsageError
from kdcompress.files import write_npz
from kdcompress.runs.folder import RunFolder

EVIL = (
    "<script>alert(1)</script>",
    "$\\frac$ & \"x\" 'y'",
    '<b id="a">',
    "|a|*b*_c_`d`[e](f)",
    "\x07bell",
)
VOID = {"meta", "img", "br", "link"}


class Outline(HTMLParser):
    """Checks that tags close in order, and gathers what the page refers to, and its ids."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.ids: list[str] = []
        self.references: list[str] = []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.references += [
            value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "xlink:href")
        ]
        assert not [name for name, _ in attrs if name.startswith("on")]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def page_of(run: Path) -> str:
    return Path(kdcompress.report(run)["report"]).read_text(encoding="utf-8")


def svgs(page: str) -> list[ET.Element]:
    return [ET.fromstring(text) for text in re.findall(r"<svg.*?</svg>", page, flags=re.DOTALL)]


FIGURES = {"begun": 2, "finished": 6, "verified": 6, "exported": 7, "timed": 8}


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_whole_page_that_loads_nothing(stage: str, tmp_path: Path) -> None:
    page = page_of(make(tmp_path / "run", stage))
    outline = Outline(page)
    assert outline.references
    assert all(one.startswith(("#", "data:image/png;base64,")) for one in outline.references)
    assert "http" not in page
    assert re.findall(r"@import|url\((?!#)", page) == []
    assert len(outline.ids) == len(set(outline.ids))
    targets = {one[1:] for one in [*outline.references, *re.findall(r"url\((#[^)]+)\)", page)] if one.startswith("#")}
    assert targets <= set(outline.ids)
    drawn = svgs(page)
    assert len(drawn) == FIGURES[stage]
    assert all(svg.get("aria-label") and svg[0].tag == "title" for svg in drawn)
    assert page.count("<table>") >= len(drawn) - 1  # the two curves and the two confusions share a table each
    for words, since in (("is not finished", None), ("kdcompress bench", "timed"), ("kdcompress export", "exported")):
        there = stage == "begun" if since is None else STAGES.index(stage) < STAGES.index(since)
        shown = re.sub(r'<section id="again">.*?</section>', "", page, flags=re.DOTALL)
        assert (words in shown) == there, words


def test_the_same_run_gives_the_same_bytes_and_the_manifest_vouches_for_them(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    first = page_of(run)
    assert page_of(run) == first
    files = RunFolder(run).manifest()["files"]
    assert files["report.html"]["sha256"] == sha256_of(run / "report.html")
    assert "MODEL_CARD.md" not in files  # in which the user writes, too
    RunFolder(run).clear()
    assert not (run / "report.html").exists()


def test_the_users_own_figures_look_as_before(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "begun")
    plain = page_of(run)
    with matplotlib.rc_context({"lines.linewidth": 9, "font.size": 30}):
        matplotlib.use("pdf")
        assert page_of(run) == plain
        assert (matplotlib.get_backend(), matplotlib.rcParams["svg.fonttype"]) == ("pdf", "path")


def test_a_run_killed_before_its_result_shows_what_there_is(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "finished")
    files = RunFolder(run).manifest()["files"]
    del files["metrics.json"]
    RunFolder(run).update_manifest(files=files)
    page = page_of(run)
    assert "is not finished" in page
    assert len(svgs(page)) == FIGURES["finished"]


def test_what_grew_is_said_and_what_is_not_known_yet_too(tmp_path: Path) -> None:
    tiles = [
        re.sub(r"<[^>]+>", " ", one)
        for one in re.findall(r'<div class="tile .*?</div>', page_of(make(tmp_path / "a")), re.S)
    ]
    assert "1.50×" in tiles[0]
    assert "MORE than the teacher: they GREW" in tiles[0]
    assert "10.0×" in tiles[1]
    assert "fewer than the teacher" in tiles[1]
    assert "BIGGER" in tiles[2]
    assert "10.0×" in tiles[3]
    assert "faster" in tiles[3]
    early = page_of(make(tmp_path / "b", "finished"))
    assert "they GREW" in early
    assert "not counted yet" in early  # bytes
    assert "not measured yet" in early  # latency


def test_names_of_classes_stay_text(tmp_path: Path) -> None:
    run = make(tmp_path / "<i>run</i>", classes=EVIL)
    page = page_of(run)
    outline = Outline(page)
    assert not {"script", "i", "b"} & outline.tags
    shown = ["".join(svg.itertext()) for svg in svgs(page)]
    for name in EVIL[:4]:
        assert unescape(page).count(name) > 2
    assert any('$\\frac$ & "x"' in text for text in shown)  # no mathematics is set
    assert any('<b id="a">' in text for text in shown)
    assert "\x07" not in page
    card = (run / "MODEL_CARD.md").read_text(encoding="utf-8")
    assert "\\<script\\>alert(1)\\</script\\>" in card
    assert "\\|a\\|\\*b\\*\\_c\\_\\`d\\`\\[e\\](f)" in card
    assert "<script" not in card.replace("\\<script", "")


@pytest.mark.parametrize("classes", [("no", "yes"), tuple(f"kind number {i}" for i in range(100))])
def test_two_classes_and_a_hundred(classes: tuple[str, ...], tmp_path: Path) -> None:
    run = make(tmp_path / "run", classes=classes, images=2000, size=224)
    page = page_of(run)
    assert len(page) < 1_500_000
    assert ("AUC against latency" in page) == (len(classes) == 2)
    assert ("Of 100 classes, the 24 that are confused most" in page) == (len(classes) == 100)


def test_answers_that_are_no_numbers(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "finished")
    with np.load(run / "outputs/test.npz") as arrays:
        held = dict(arrays)
    held["student_logits"][:5] = np.nan
    write_npz(run / "outputs/test.npz", held)
    RunFolder(run).commit("outputs/test.npz")
    page = page_of(run)
    assert "no answer" in page
    assert "nan" not in re.sub(r"data:[^\"]*", "", page)


def test_a_run_that_kept_no_images_says_so_and_names_them(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "finished")
    ids = np.load(run / "outputs/disagreements.npz")["ids"]
    manifest = RunFolder(run).manifest()
    del manifest["files"]["outputs/disagreements.npz"]
    RunFolder(run).update_manifest(files=manifest["files"])
    page = page_of(run)
    assert "The images are not shown" in page
    assert "<img" not in page
    assert all(f">{name}<" in page for name in ids)


def test_the_card_keeps_what_the_user_wrote_and_leaves_a_card_of_his_own_alone(
    tmp_path: Path, recorder: Recorder
) -> None:
    run = make(tmp_path / "run", "begun")
    card = Path(kdcompress.report(run)["model_card"])
    filled = re.sub(
        r"To be filled in.*", "For *our* parcels.\n\n<b>Not</b> for people.", card.read_text(encoding="utf-8")
    )
    card.write_text(filled, encoding="utf-8")
    kdcompress.report(run)
    assert card.read_text(encoding="utf-8") == filled
    card.write_text("# My own\n", encoding="utf-8")
    kdcompress.report(run, progress=recorder)
    assert card.read_text(encoding="utf-8") == "# My own\n"
    assert "left as it is" in recorder.warnings[-1]


def test_with_out_the_run_is_only_read(tmp_path: Path) -> None:
    run = make(tmp_path / "run", "verified")
    before = {path: sha256_of(path) for path in run.rglob("*") if path.is_file()}
    with RunFolder(run).lock():  # as while it trains
        result = kdcompress.report(run, out=tmp_path / "elsewhere")
    assert {path: sha256_of(path) for path in run.rglob("*") if path.is_file() and path.name != ".lock"} == before
    assert result["report"] == str(tmp_path / "elsewhere/report.html")
    assert result["missing"] == ["export", "bench"]
    assert result["ratios"] == {"params": 1.5, "flops": 0.1, "bytes": 1.5, "latency": None}


def test_a_file_that_is_not_what_the_run_wrote_is_refused(tmp_path: Path) -> None:
    run = make(tmp_path / "run")
    (run / "verify.json").write_text("{}")
    with pytest.raises(RunError, match=r"verify\.json has changed"):
        kdcompress.report(run)
    with pytest.raises(UsageError, match="is neither a run folder nor a model"):
        kdcompress.report(tmp_path)
    with pytest.raises(UsageError, match="at least one"):
        kdcompress.report()


def test_two_runs_beside_each_other(tmp_path: Path) -> None:
    runs = [make(tmp_path / "<b>a</b>"), make(tmp_path / "b", "finished", seed=1)]
    result = kdcompress.report(*runs, out=tmp_path)
    assert [one["run"] for one in result["runs"]] == [str(run) for run in runs]
    page = (tmp_path / "comparison.html").read_text(encoding="utf-8")
    assert "b" not in Outline(page).tags
    assert all(one.startswith("#") for one in Outline(page).references)
    rows = re.findall(r'<tr><th scope="row" class="name">seed</th><td>0</td><td>1</td></tr>', page)
    assert rows  # the one key in which the recipes differ
    assert "different data" not in page
    assert len(svgs(page)) == 1
    other = RunFolder(runs[1])
    other.update_manifest(dataset={**other.manifest()["dataset"], "fingerprint": "1" * 64})
    kdcompress.report(*runs, out=tmp_path)
    assert "different data" in (tmp_path / "comparison.html").read_text(encoding="utf-8")
    with pytest.raises(RunError, match="is not finished"):
        kdcompress.report(*runs, make(tmp_path / "c", "begun"), out=tmp_path)


CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
MEASURE = """<iframe src="{page}" style="width:{width}px;height:900px;border:0"></iframe><p>waiting</p><script>
addEventListener("load", () => {{
  const inside = document.querySelector("iframe").contentDocument;
  const broken = [...inside.images].filter(one => !one.naturalWidth).length;
  const text = [...inside.querySelectorAll("svg text")].map(one => one.getBoundingClientRect());
  const outside = text.filter(one => one.left < 0 || one.right > {width} + 1).length;
  const scrolls = [...inside.querySelectorAll(".scroll")].filter(one => one.scrollWidth > one.clientWidth + 1);
  const shaded = scrolls.filter(one => getComputedStyle(one).backgroundAttachment.includes("local"));
  document.querySelector("p").textContent = `cut ${{scrolls.length}} shaded ${{shaded.length}} ` +
    `scroll ${{inside.documentElement.scrollWidth}} broken ${{broken}} outside ${{outside}} texts ${{text.length}}`;
}});
</script>"""


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed: the page was not opened in a browser")
@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_screen(width: int, tmp_path: Path) -> None:
    run = make(
        tmp_path / "run", classes=(*DIGITS, "a class with a name that is far too long for any column of a phone")
    )
    page_of(run)
    frame = tmp_path / "frame.html"
    frame.write_text(MEASURE.format(page=(run / "report.html").as_uri(), width=width))
    options = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--allow-file-access-from-files",
        "--window-size=1400,1000",
    ]
    command = [str(CHROMIUM), *options, f"--user-data-dir={tmp_path / 'profile'}", "--virtual-time-budget=5000"]
    done = subprocess.run([*command, "--dump-dom", frame.as_uri()], capture_output=True, text=True, timeout=60)
    found = re.search(r"cut (\d+) shaded (\d+) scroll (\d+) broken (\d+) outside (\d+) texts (\d+)", done.stdout)
    assert found, done.stderr[-500:]
    cut, shaded, scroll, broken, outside, texts = map(int, found.groups())
    assert scroll <= width
    assert (broken, outside) == (0, 0)
    assert texts > 100
    assert (cut > 0) == (width == 390)  # on a wide screen every table is whole
    assert shaded == cut
