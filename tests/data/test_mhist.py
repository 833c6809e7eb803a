"""MHIST as its owners hand it out: rows, votes, and what is said of it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import Recorder
from mhist_folder import HEADER, folder, refused, row, rows_of, write_rows
from own_images import cache_elsewhere, load, picture
from PIL import Image
from typer.testing import CliRunner

from kdcompress.cache import cache_dir
from kdcompress.cli._app import app
from kdcompress.data import FileImages, Samples, make_source
from kdcompress.data.mhist.origin import describe_difference
from kdcompress.errors import DataError, RecipeError
from kdcompress.progress import Progress

__all__ = ["cache_elsewhere", "folder"]  # fixtures of the tests here


def test_a_folder_as_the_owners_hand_it_out(folder: Path) -> None:
    data = load("mhist", dir=folder)
    assert data.classes == ("HP", "SSA")
    assert data.name == "mhist"
    assert (len(data.train), len(data.test), data.input_shape) == (16, 8, (12, 12, 3))
    assert data.train.ids.tolist() == [f"MHIST_{index:04d}.png" for index in range(16)]
    assert data.test.ids[0] == "MHIST_0016.png"
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert data.test.votes is not None
    assert data.test.votes.tolist() == [[7, 0], [6, 1], [5, 2], [4, 3], [3, 4], [2, 5], [1, 6], [0, 7]]
    assert data.test.votes.dtype == np.int64
    assert (data.train.soft_labels, data.train.subclasses, data.subclasses) == (None, None, None)
    assert isinstance(data.train.images, FileImages)
    with Image.open(folder / "images" / "MHIST_0017.png") as image:
        assert np.array_equal(data.test.images[[1]][0], np.asarray(image))


@pytest.mark.parametrize(("newline", "mark"), [("\r\n", b""), ("\n", b""), ("\r", b""), ("\r\n", b"\xef\xbb\xbf")])
def test_any_line_ends_a_byte_order_mark_and_any_order_of_rows(folder: Path, newline: str, mark: bytes) -> None:
    expected = load("mhist", dir=folder)
    table = write_rows(folder, rows_of()[::-1], newline=newline)
    table.write_bytes(mark + table.read_bytes())
    found = load("mhist", dir=folder)
    assert found.fingerprint == expected.fingerprint
    assert found.train.ids.tolist() == expected.train.ids.tolist()


def test_where_it_is_looked_for(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recorder = Recorder()
    monkeypatch.setenv("KDCOMPRESS_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(
        DataError, match=r"no MHIST in .*data/mhist or .*mhist: MHIST may not be redistributed.*request"
    ):
        load("mhist", recorder)
    assert recorder.notes == [
        f"KDCOMPRESS_DATA_DIR is set, but there is no annotations.csv in {tmp_path / 'data' / 'mhist'}"
    ]
    shutil.copytree(folder, cache_dir("data") / "mhist")
    assert load("mhist").source.startswith(str(cache_dir("data") / "mhist"))
    shutil.copytree(folder, tmp_path / "data" / "mhist")
    assert load("mhist").source.startswith(str(tmp_path / "data" / "mhist"))
    refused(folder.parent, f"{folder.parent} holds no annotations.csv; is it .* that is meant")
    (folder / "annotations.csv").unlink()
    refused(folder, "holds no annotations.csv, as MHIST has beside images/ or images.zip")


def test_it_is_not_downloaded_for_anyone() -> None:
    with pytest.raises(DataError, match=r"request it from its owners.*use agreement.*which --data-dir names"):
        make_source({"name": "mhist"}).download(Progress())
    done = CliRunner().invoke(app, ["data", "get", "mhist"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert "BMIRDS group at Dartmouth" in done.stderr


AT_5 = "MHIST_0003.png"  # the image of line 5


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (f"{AT_5},hp,3,train", r"annotations\.csv, line 5: the label must be HP or SSA, got 'hp'; "),
        (f"{AT_5},,3,train", r"line 5: the label must be HP or SSA, got ''"),
        (f"{AT_5},HP,8,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got '8'"),
        (f"{AT_5},HP,-1,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got '-1'"),
        (f"{AT_5},HP,2.5,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got '2\.5'"),
        (f"{AT_5},HP,,train", r"line 5: the votes for SSA must be a whole number from 0 to 7, got ''"),
        (f"{AT_5},HP,4,train", r"line 5: the label is HP, but 4 of 7 annotators chose SSA \(SSA means 4 or more\)"),
        (f"{AT_5},SSA,3,train", r"line 5: the label is SSA, but 3 of 7 annotators chose SSA"),
        (f"{AT_5},HP,3,val", r"line 5: the partition must be train or test, got 'val'"),
        (f"{AT_5},HP,3", r"line 5: not as many fields as the header's 4"),
        (",HP,3,train", r"line 5: the path is empty"),
        (row("MHIST_0001.png", 3, "train"), r"MHIST_0001\.png stands in line 3 and again in line 5"),
        (row("../MHIST_0003.png", 3, "train"), r"line 5: \.\./MHIST_0003\.png leaves the folder .*images"),
        (row("/etc/passwd.png", 3, "train"), r"line 5: /etc/passwd\.png leaves the folder"),
        (row('"two\nlines.png"', 3, "train"), r"line 6: the path 'two\\nlines\.png' holds control characters"),
        (row("none.png", 3, "train"), r"lists images that do not exist below .*images: none\.png \(line 5\)"),
        (row("x" * 5000, 3, "train"), r"do not exist below .*images: x+ \(line 5\)"),
    ],
)
def test_rows_that_are_wrong_are_told_by_line(folder: Path, change: str, words: str) -> None:
    rows = rows_of()
    rows[3] = change
    write_rows(folder, rows)
    refused(folder, words)


def test_many_wrong_rows_are_counted(folder: Path) -> None:
    rows = [text.replace(",HP,", ",SSA,") for text in rows_of()]
    write_rows(folder, rows)
    words = refused(
        folder, r"annotations\.csv \(12 rows are wrong\), line 2: the label is SSA.*; and 7 more; annotations"
    )
    assert [f"line {line}:" in words for line in (2, 3, 4, 5, 10, 11)] == [True] * 5 + [False]


def test_columns_and_parts_that_are_missing(folder: Path) -> None:
    write_rows(folder, rows_of(), HEADER.replace("Partition", "Partitions"))
    refused(
        folder, r"has no column 'Partition' \(did you mean 'Partitions'\?\); it has Image Name, .*as MHIST's owners"
    )
    write_rows(folder, [text.rsplit(",", 2)[0] for text in rows_of()], "Image Name,Majority Vote Label")
    refused(folder, r"has no column 'Number of Annotators who Selected SSA \(Out of 7\)'")
    write_rows(folder, [text for text in rows_of() if not text.endswith("test")])
    refused(folder, "has no row of partition test; it needs rows of both train and test")
    write_rows(folder, [text for text in rows_of() if ",HP," not in text])
    refused(folder, "train has no image of class HP; it needs both")
    write_rows(folder, [])
    refused(folder, "has no row of partition train")
    (folder / "annotations.csv").write_bytes(b"")
    refused(folder, "annotations.csv is empty; it needs a header with the columns Image Name and Majority")
    (folder / "annotations.csv").write_bytes("\n".join([HEADER, *rows_of()]).encode("utf-16"))
    assert load("mhist", dir=folder).classes == ("HP", "SSA")
    (folder / "annotations.csv").write_bytes("\n".join([HEADER, *rows_of()]).encode("utf-16") + b"\0")
    refused(folder, "annotations.csv is not UTF-16 text")
    (folder / "annotations.csv").write_text(HEADER + '\n"' + "x" * 200_000)
    refused(folder, r"line \d+: no CSV \(field larger")


def test_votes_as_subclasses(folder: Path) -> None:
    data = load("mhist", dir=folder, subclasses="agreement")
    assert data.subclasses == (("HP unanimous", "HP contested"), ("SSA contested", "SSA unanimous"))
    assert data.test.subclasses is not None
    assert data.test.subclasses.tolist() == [0, 1, 1, 1, 2, 2, 2, 3]
    finest = load("mhist", dir=folder, subclasses="votes")
    assert finest.subclasses == (
        ("HP 7 of 7", "HP 6 of 7", "HP 5 of 7", "HP 4 of 7"),
        ("SSA 4 of 7", "SSA 5 of 7", "SSA 6 of 7", "SSA 7 of 7"),
    )
    assert finest.test.subclasses is not None
    assert finest.test.subclasses.tolist() == list(range(8))
    assert len({data.fingerprint, finest.fingerprint, load("mhist", dir=folder).fingerprint}) == 3
    some = [text for text in rows_of() if ",0," in text or ",7," in text]
    write_rows(folder, some)
    few = load("mhist", dir=folder, subclasses="agreement")
    assert few.subclasses == data.subclasses  # names do not hang on which votes there are
    assert few.train.subclasses is not None
    assert few.train.subclasses.tolist() == [0, 3, 0, 3]
    with pytest.raises(RecipeError, match=r"data\.subclasses must be one of 'none', 'agreement' or 'votes', got 'all'"):
        load("mhist", dir=folder, subclasses="all")


def test_votes_as_soft_labels(folder: Path) -> None:
    data = load("mhist", dir=folder, labels="votes")
    assert data.test.soft_labels is not None
    assert data.test.soft_labels.dtype == np.float32
    expected = [[1 - votes / 7, votes / 7] for votes in range(8)]
    assert data.test.soft_labels == pytest.approx(np.array(expected), abs=1e-7)
    assert data.train.labels.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert data.fingerprint != load("mhist", dir=folder).fingerprint


def test_another_set_is_not_called_the_published_one(folder: Path) -> None:
    data = load("mhist", dir=folder)
    assert data.source == f"{folder} (not the published MHIST)"
    assert data.notice == (
        "not the published MHIST: train has 8 HP and 8 SSA (published: 1,545 HP and 630 SSA), "
        "test has 4 HP and 4 SSA (published: 617 HP and 360 SSA), images are 12x12 (published: 224x224)"
    )


def test_the_published_counts() -> None:
    def samples(hp: int, ssa: int) -> Samples:
        labels = np.repeat([0, 1], [hp, ssa]).astype(np.int64)
        return Samples(np.zeros((hp + ssa, 1, 1, 3), np.uint8), labels, labels.astype(np.str_))

    parts = {"train": samples(1545, 630), "test": samples(617, 360)}
    assert describe_difference(parts, "224x224") is None
    assert str(describe_difference(parts, "96x96")).endswith("MHIST: images are 96x96 (published: 224x224)")
    parts["test"] = samples(617, 359)
    assert describe_difference(parts, "224x224") == (
        "not the published MHIST: test has 617 HP and 359 SSA (published: 617 HP and 360 SSA)"
    )


def test_synthetic_images_are_called_so(folder: Path) -> None:
    facts = {"made_by": "kdcompress 0.1", "synthetic": True, "seed": 7, "count": 24, "size": 12}
    (folder / "synthetic.json").write_text(json.dumps(facts))
    data = load("mhist", dir=folder)
    assert data.source == f"synthetic: {folder} (made by kdcompress 0.1, seed 7, count 24, size 12)"
    assert str(data.notice).startswith("SYNTHETIC images, drawn by a program, not tissue")
    assert "published" not in str(data.notice)
    (folder / "synthetic.json").write_text(json.dumps({"synthetic": True, "made_by": "a\nb" + "c" * 900}))
    assert load("mhist", dir=folder).source == f"synthetic: {folder} (made by a b{'c' * 57})"
    for text in ("", "[]", '{"synthetic": false}', '{"synthetic": "yes"}', "[" * 100_000):
        (folder / "synthetic.json").write_text(text)
        refused(folder, r"synthetic\.json is damaged .*; make the folder anew")


def test_data_check_reads_pleasantly(folder: Path, tmp_path: Path) -> None:
    picture(folder / "images" / "MHIST_0005.png", 77, (12, 12), "L")
    picture(folder / "images" / "more.png", 78)
    told = ["--set", "data.subclasses=agreement", "--ids", str(tmp_path / "ids.csv")]
    done = CliRunner().invoke(app, ["data", "check", "mhist", "--data-dir", str(folder), *told])
    assert done.exit_code == 0
    lines = done.stdout.splitlines()
    assert lines[0] == f"mhist: {folder} (not the published MHIST)"
    assert lines[2:] == [
        "train 16, test 8, images 12x12x3",
        "class HP: train 8, test 4",
        "class SSA: train 8, test 4",
        "agreement 4 of 7: train 4, test 2",
        "agreement 5 of 7: train 4, test 2",
        "agreement 6 of 7: train 4, test 2",
        "agreement 7 of 7: train 4, test 2",
        "subclass HP unanimous: train 2, test 1",
        "subclass HP contested: train 6, test 3",
        "subclass SSA contested: train 6, test 3",
        "subclass SSA unanimous: train 2, test 1",
        "files: 24, 12x12",
        "colours: 1 of 24 images are converted to 8-bit RGB: 1 grey (MHIST_0005.png)",
        "surplus: 1 image is not in annotations.csv and not used, such as more.png",
        "duplicates: none in train and in test, 0 within train, 0 within test",
    ]
    assert "WARNING: not the published MHIST: train has 8 HP" in done.stderr
    assert (tmp_path / "ids.csv").read_text().splitlines()[:2] == ["id,part,label", "MHIST_0000.png,train,HP"]
    broken = rows_of()
    broken[0] = "MHIST_0000.png,SSA,0,train"
    write_rows(folder, broken)
    failed = CliRunner().invoke(app, ["data", "check", "mhist", "--data-dir", str(folder)])
    assert (failed.exit_code, failed.stderr.count("\n")) == (1, 1)
    assert "line 2: the label is SSA, but 0 of 7 annotators chose SSA" in failed.stderr


def test_drawn_images_are_told_by_their_names_where_the_manifest_is_gone(folder: Path) -> None:
    rows = [row(f"SYN_{number:04d}.png", number % 8, "train" if number < 16 else "test") for number in range(24)]
    for one, path in zip(rows, sorted((folder / "images").iterdir()), strict=True):
        path.rename(path.with_name(one.partition(",")[0]))
    write_rows(folder, rows)
    dataset = load("mhist", dir=folder)
    assert dataset.source.startswith("synthetic: ")
    assert "SYNTHETIC images" in str(dataset.notice)


def test_other_votes_are_other_data(folder: Path) -> None:
    before = load("mhist", dir=folder).fingerprint
    rows = [line.replace("SSA,7,", "SSA,6,") for line in rows_of()]
    write_rows(folder, rows)
    assert load("mhist", dir=folder).fingerprint != before


def test_clearing_the_cache_leaves_data_that_somebody_put_there(folder: Path) -> None:
    from kdcompress.cache import clear_cache

    place = cache_dir("data") / "mhist"
    shutil.copytree(folder, place)
    (cache_dir("data") / f"mhist-images-{'1' * 16}").mkdir()
    clear_cache()
    assert (place / "annotations.csv").is_file()
    assert not (cache_dir("data") / f"mhist-images-{'1' * 16}").exists()
