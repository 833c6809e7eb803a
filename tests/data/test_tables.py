"""Tables of images that are damaged, lead elsewhere, or have columns that nobody reads."""

from __future__ import annotations

import os
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from conftest import Recorder
from mhist_folder import folder, refused, row, rows_of, write_rows
from own_images import cache_elsewhere, load, picture

from kdcompress.config.toml_values import parse_toml
from kdcompress.data import rows as _rows
from kdcompress.data.resolving import PathResolver
from kdcompress.errors import DataError

__all__ = ["cache_elsewhere", "folder"]  # fixtures of the tests here

ROWS = [f"img/{name}{index}.png,{name}" for name in ("cat", "dog") for index in range(10)]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    root = tmp_path / "set"
    for number, one in enumerate(ROWS):
        picture(root / one.split(",")[0], number)
    return root


def write(root: Path, content: str | bytes) -> Path:
    data = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    (root / "labels.csv").write_bytes(data)
    return root / "labels.csv"


def table(root: Path, rows: list[str], header: str = "path,label") -> Path:
    return write(root, "\n".join([header, *rows]) + "\n")


def told(file: Path, **settings: Any) -> str:
    """The one line that loading a table fails with."""
    with pytest.raises(DataError) as caught:
        load("csv", file=file, **settings)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 1500
    assert str(file) in text
    return text


HEAD = "path,label\n" + "\n".join(ROWS[:5]) + "\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf\r\n ", "is empty"),
        (HEAD.encode() + b"caf\xe9.png,cat\n", "is not UTF-8 text (invalid continuation byte at byte"),
        (
            HEAD.encode() + b"caf\xe9.png,cat\n",
            "at byte 99, in line 7); save it as UTF-8, which Excel lists as CSV UTF-8",
        ),
        (HEAD.encode("utf-16") + b"\0", "is not UTF-16 text (truncated data at byte"),
        (HEAD.encode("utf-16-le")[:-1], "is not UTF-16 text (truncated data at byte"),
        ((HEAD + "img/c\0at.png,cat\n").encode("utf-16"), "line 7: a NUL byte"),
        (b"\xff\xfe", "is empty"),
        ("sep=;\n", "is empty"),
        (b"PK\3\4" + b"\0" * 100, "is an Excel workbook or an archive, not CSV; save its sheet as CSV in UTF-8"),
        ("sep=,\n\n" + HEAD + "img/c.png\n", "line 9: not as many fields as the header's 2"),
        (HEAD + "img/c\0at.png,cat\n", "line 7: a NUL byte"),
        ("\0" * 100, "line 1: a NUL byte"),
        (HEAD + '"img/cat5.png,cat\nimg/cat6.png,cat\n', "lines 7 to 8: a quote is opened and never closed"),
        (HEAD + 'img/cat5.png,"cat\nimg/cat6.png,cat\n', "lines 7 to 8: a quote is opened and never closed"),
        ('"path,label\n' + "\n".join(ROWS), "a quote is opened and never closed"),
        (HEAD + '"img/cat5.png"x,cat\n', "line 7: no CSV (',' expected after '\"')"),
        (HEAD + 'img/cat5.png,"cat\nimg/cat6.png,cat"\n', "line 8: column 'label' goes over several lines"),
        (HEAD + "a" * 200_000 + ",cat\n", "line 7: no CSV (field larger than field limit"),
        (HEAD + "a" * 20_000_000 + ",cat\n", "line 7: 20,000,005 characters, above"),
        ("path,label" + ",x" * 2000 + "\n", "has 2,002 columns, above 1,000"),
        (HEAD + "img/cat5.png," + "a" * 5000 + "\n", "line 7: column 'label' holds 5,000 characters; a name has 255"),
        (HEAD + "n" * 5000 + ".png,cat\n", "lists images that do not exist below"),
        ("path,label,label\na,b,c\n", "has two columns 'label', and which one counts is not known"),
        ("path\n", "has no column 'label'"),
        (",,,\n", "has no column 'path'"),
        ("path,label\n\n\n", "has a header and no rows"),
    ],
)
def test_tables_that_are_damaged(listed: Path, content: str | bytes, words: str) -> None:
    assert words in told(write(listed, content))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_tables_of_every_encoding_and_separator(listed: Path, encoding: str, separator: str) -> None:
    file = table(listed, ROWS)
    expected = load("csv", file=file).fingerprint
    file.unlink()
    (listed / "._LABELS.TSV").write_bytes(b"\0\5\x16\7")  # which macOS writes beside each file
    rows = [row.replace(",", separator) for row in ("path,label", *ROWS[:-1], ROWS[-1].replace(",dog", ',"dog"'))]
    for before in ("", f"sep={separator}\r\n", "\n\n"):
        for end in ("\n", "\r\n", "\r"):
            (listed / "LABELS.TSV").write_bytes(f"{before}{end.join(rows)}".encode(encoding))
            assert load("csv", dir=listed).fingerprint == expected


def test_the_required_columns_decide_on_the_separator(listed: Path) -> None:
    expected = load("csv", file=table(listed, ROWS))
    rows = [f"{row.replace(',', ';')};a, b, c" for row in ROWS]
    assert load("csv", file=table(listed, rows, "path;label;remarks, if any, of ours")).fingerprint == (
        expected.fingerprint
    )
    assert "has no column 'path'; it has file, class: name the right one" in told(table(listed, rows, "file;class"))


def test_umlauts_in_utf_16(tmp_path: Path) -> None:
    for number in range(20):
        picture(tmp_path / f"größe{number}.png", number)
    rows = [f"größe{number}.png\t{('größer', '小さい')[number % 2]}" for number in range(20)]
    (tmp_path / "labels.txt").write_bytes("\r\n".join(["path\tlabel", *rows]).encode("utf-16"))
    data = load("csv", file=tmp_path / "labels.txt")
    assert data.classes == ("größer", "小さい")
    assert {f"größe{number}.png" for number in range(20)} == {*data.train.ids, *data.test.ids}


def test_columns_that_are_nobody_s_may_go_over_several_lines(listed: Path) -> None:
    rows = [f'{one},"first\nsecond"' for one in ROWS]
    data = load("csv", file=table(listed, rows, "path,label,remarks"))
    assert len(data.train) + len(data.test) == 20


def test_a_table_is_no_larger_than_tables_are(listed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = table(listed, ROWS)
    monkeypatch.setattr(_rows, "_MAX_BYTES", 100)
    assert f"has {file.stat().st_size} bytes, above 100: no table of images" in told(file)


def test_a_long_line_takes_little_memory(listed: Path) -> None:
    file = write(listed, HEAD + '"' + "a,\n" * 5_000_000)
    tracemalloc.start()
    try:
        told(file)
        assert tracemalloc.get_traced_memory()[1] < 10 * file.stat().st_size
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("column", "key"),
    [
        ("partitoin", "partition"),
        ("Partition", "partition"),
        ("PARTITION ", "partition"),
        ("partition_", "partition"),
        ("partit", "partition"),
        ("part1tion", "partition"),
        ("split", "partition"),
        ("grup", "group"),
        ("Group", "group"),
        ("groups", "group"),
        ("sub-class", "subclass"),
        ("Sub Class", "subclass"),
        ("subclas", "subclass"),
        ("train", "partition"),
        ("tvt", "partition"),
        ("kfold", "partition"),
        ("family_id", "group"),
        ("plate", "group"),
        ("subj", "group"),
        ("pat_id", "group"),
    ],
)
def test_a_column_that_resembles_one_that_counts_is_said(
    listed: Path, recorder: Recorder, column: str, key: str
) -> None:
    words = ("test", "train") if key == "partition" else ("a", "b")
    rows = [f"{one},{words[0 if index % 5 == 0 else 1]}" for index, one in enumerate(ROWS)]
    file = table(listed, rows, f"path,label,{column}")
    load("csv", recorder, file=file)
    name = column.strip()
    assert recorder.warnings == [
        f'{file}: column {name!r} is not used; if it is what data.{key} means, name it: data.{key} = "{name}"'
    ]
    if key == "partition":
        data = load("csv", file=file, partition=name)
        assert (len(data.train), len(data.test)) == (16, 4)


@pytest.mark.parametrize(
    "column", ["remarks", "width", "patient age", "date", "x", "id", "hash", "class of ship", "dataset", "image_id"]
)
def test_a_column_that_resembles_none_is_noted(listed: Path, recorder: Recorder, column: str) -> None:
    file = table(listed, [f"{one},{index}" for index, one in enumerate(ROWS)], f"path,label,{column}")
    load("csv", recorder, file=file)
    assert recorder.warnings == []
    assert f"{file}: not used: column {column}" in recorder.notes


def test_unused_columns_are_noted_in_one_line(listed: Path, recorder: Recorder) -> None:
    file = table(listed, [f"{one},1,2," for one in ROWS], "path,label,width,patient,")
    load("csv", recorder, file=file)  # one patient alone is nothing to divide by
    assert recorder.warnings == []
    assert f"{file}: not used: columns width, patient" in recorder.notes
    load("csv", again := Recorder(), file=table(listed, ROWS))
    assert not [note for note in again.notes if "not used" in note]


@pytest.mark.parametrize(
    "column",
    ["split", "set", "subset", "fold", "Partition", "data_split", "train/test", "Usage", "phase", "tvt", "is it test?"],
)
@pytest.mark.parametrize("words", [("train", "test"), ("Training", "Validation", "TEST"), ("train", "dev", "testing")])
def test_a_column_of_train_and_test_is_said_whatever_its_name(
    listed: Path, recorder: Recorder, column: str, words: tuple[str, ...]
) -> None:
    rows = [f"{one},{words[index % 5 % len(words)]}" for index, one in enumerate(ROWS)]
    file = table(listed, rows, f"path,label,{column}")
    load("csv", recorder, file=file)
    assert recorder.warnings == [
        f"{file}: column {column!r} is not used; if it is what data.partition means, "
        f'name it: data.partition = "{column}"'
    ]
    load("csv", again := Recorder(), file=file, partition=column)
    assert again.warnings == []
    assert not [note for note in again.notes if "not used" in note or "no test part" in note]


@pytest.mark.parametrize(
    ("column", "words", "listing"),
    [
        ("fold", ("0", "1", "2"), "'0', '1', '2'"),
        ("is_test", ("False", "True"), "'False', 'True'"),
        ("Usage", ("Training", "PublicTest", "PrivateTest"), "'PrivateTest', 'PublicTest'"),
        ("part", ("train_set", "test_set"), "'test_set', 'train_set'"),
        ("when", ("tr", "te"), "'te', 'tr'"),
        ("split", ("train", "holdout"), "'holdout'"),
        ("split", ("train", "eval"), "'eval'"),
    ],
)
def test_a_split_in_other_words_is_said_with_the_words_that_are_taken(
    listed: Path, recorder: Recorder, column: str, words: tuple[str, ...], listing: str
) -> None:
    rows = [f"{one},{words[index % len(words)]}" for index, one in enumerate(ROWS)]
    file = table(listed, rows, f"path,label,{column}")
    load("csv", recorder, file=file)
    assert recorder.warnings == [
        f"{file}: column {column!r} is not used; if it divides the data, replace {listing} in it by train, val and "
        f'test, and name it: data.partition = "{column}"'
    ]


@pytest.mark.parametrize(
    "column",
    ["patient_id", "patient", "case", "slide", "Group", "PatientID", "subject id", "anon_patient_id", "Lesion-Id",
     "participants", "WSI", "video name", "Case Nr."],
)  # fmt: skip
def test_a_column_of_patients_is_said(listed: Path, recorder: Recorder, column: str) -> None:
    rows = [f"{one},p{index // 4}" for index, one in enumerate(ROWS)]
    file = table(listed, rows, f"path,label,{column}")
    load("csv", recorder, file=file)
    assert recorder.warnings == [
        f'{file}: column {column!r} is not used; if it is what data.group means, name it: data.group = "{column}"'
    ]
    data = load("csv", again := Recorder(), file=file, group=column)
    assert again.warnings == []
    assert data.train.groups is not None
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())  # type: ignore[union-attr]


def test_a_second_column_of_a_kind_that_is_named_is_noted(listed: Path, recorder: Recorder) -> None:
    part = ("test", "train", "train", "train")
    rows = [f"{one},{part[index % 4]},{part[index % 3]},p{index}" for index, one in enumerate(ROWS)]
    file = table(listed, rows, "path,label,split,set,patient")
    load("csv", recorder, file=file, partition="split", group="patient")
    assert recorder.warnings == []
    assert f"{file}: not used: column set" in recorder.notes


def test_names_of_columns_are_quoted_as_toml_does(listed: Path, recorder: Recorder) -> None:
    rows = [f"{one},{'test' if index % 5 == 0 else 'train'}" for index, one in enumerate(ROWS)]
    load("csv", recorder, file=table(listed, rows, r'path,label,"a\b ""c"""'))
    (warning,) = recorder.warnings
    assert parse_toml(warning.partition("name it: ")[2], "here") == {"data": {"partition": r'a\b "c"'}}


def test_columns_that_have_another_name_resemble_that(listed: Path, recorder: Recorder) -> None:
    rows = [f"{one},train" for one in ROWS]
    load("csv", recorder, file=table(listed, rows, "Bild,Klasse,partition"), path="Bild", label="Klasse")
    assert recorder.warnings == []
    assert "has no column 'lable' (did you mean 'label'?)" in told(table(listed, ROWS), label="lable")
    assert "has no column 'label' (did you mean 'lable'?)" in told(table(listed, ROWS, "path,lable"))


@pytest.fixture
def links(listed: Path) -> Path:
    outside = listed.parent / "outside"
    picture(outside / "secret.png", 77)
    picture(listed / "more" / "own.png", 78)
    (listed / "away").symlink_to(outside)
    (listed / "up").symlink_to("..")
    (listed / "again").symlink_to("more")
    (listed / "img" / "secret.png").symlink_to(outside / "secret.png")
    (listed / "img" / "twin.png").symlink_to("../more/own.png")
    (listed / "loop").symlink_to("loop")
    return listed


@pytest.mark.parametrize(
    "name",
    ["away/secret.png", "up/outside/secret.png", "img/secret.png", "again/../away/secret.png", "away\\secret.png",
     "up/set/img/cat0.png/../../../outside/secret.png", "./away/secret.png", "away//secret.png", "more/../../outside/x",
     "/etc/hostname", "//etc/hostname", "\\etc\\hostname", "..", ".", "img/..", "img/../..", "../set/img/cat9.png",
     "/"],
)  # fmt: skip
def test_names_that_lead_out_of_the_folder(links: Path, name: str) -> None:
    words = told(table(links, [*ROWS, f"{name},cat"]))
    assert "line 22: " in words
    assert "leaves the folder" in words
    if "away" in name and ".." not in name:
        assert words.endswith(
            f"leaves the folder {links} through a link; name with data.dir the folder that holds both, "
            "or copy the files into it"
        )


@pytest.mark.parametrize("name", ["again/own.png", "img/twin.png", "./img/cat0.png", "img//cat0.png", "img\\cat0.png"])
def test_names_that_stay_inside(links: Path, name: str) -> None:
    rows = [one for one in ROWS if "cat0" not in one]
    data = load("csv", file=table(links, [*rows, f"{name},cat"]))
    assert len(data.train) + len(data.test) == 20
    absolute = load("csv", file=table(links, [*rows, f"{links}/img/cat0.png,cat"]))
    assert "img/cat0.png" in {*absolute.train.ids.tolist(), *absolute.test.ids.tolist()}


def test_a_data_folder_behind_a_link_is_one(links: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(links)
    table(links, ROWS)
    assert len(load("csv", dir=tmp_path / "link").train) == 16


def test_a_name_that_is_looked_at_twice_is_as_good_as_the_first(links: Path) -> None:
    inside = PathResolver(links)
    for _ in range(2):
        assert inside.resolve("img/cat0.png", "here") == "img/cat0.png"
        for name in ("img/secret.png", "away/secret.png", "away/other.png"):
            with pytest.raises(DataError, match="through a link"):
                inside.resolve(name, "here")


def test_a_hundred_thousand_rows_take_no_time(tmp_path: Path) -> None:
    inside, begin = PathResolver(tmp_path), time.process_time()
    for number in range(100_000):
        inside.resolve(f"folder{number % 100}/image{number}.png", "here")
    assert time.process_time() - begin < 10  # half a second, where realpath of each takes as long as this


def test_odd_things_behind_names_are_told(listed: Path) -> None:
    (listed / "img" / "folder.png").mkdir()
    os.mkfifo(listed / "img" / "fifo.png")
    rows = [*ROWS, "img/folder.png,cat", "img/fifo.png,cat", "img/none.png,cat"]
    words = told(table(listed, rows))
    assert "img/folder.png (line 22, which is no file), img/fifo.png (line 23, which is no file), " in words
    assert words.endswith("img/none.png (line 24)")
    os.mkfifo(listed / "fifo.csv")
    assert "is no regular file (a FIFO" in told(listed / "fifo.csv")
    assert "does not exist" in told(listed / ("n" * 1000))
    assert "is a folder; name the file in it" in told(listed)


def test_annotations_that_lead_out_or_are_damaged(folder: Path, tmp_path: Path) -> None:
    picture(tmp_path / "elsewhere" / "other.png", 5, (12, 12))
    (folder / "images" / "away").symlink_to(tmp_path / "elsewhere")
    write_rows(folder, [*rows_of(), row("away/other.png", 3, "train")])
    refused(folder, r"line 26: away/other\.png leaves the folder .* through a link; name with data\.dir")
    rows = rows_of()
    (folder / "annotations.csv").write_bytes(write_rows(folder, rows).read_bytes() + b"\xff")
    refused(folder, r"annotations\.csv is not UTF-8 text")
    (folder / "annotations.csv").unlink()
    os.mkfifo(folder / "annotations.csv")
    refused(folder, r"annotations\.csv is no regular file")


def test_links_out_of_images_in_a_folder_of_their_name(folder: Path, tmp_path: Path) -> None:
    (folder / "images").rename(folder / "inner")
    (folder / "images").mkdir()
    (folder / "inner").rename(folder / "images" / "images")
    picture(tmp_path / "outside.png", 9, (12, 12))
    (folder / "images" / "images" / "MHIST_0003.png").unlink()
    (folder / "images" / "images" / "MHIST_0003.png").symlink_to(tmp_path / "outside.png")
    refused(folder, r"line 5: MHIST_0003\.png leaves the folder .* through a link")


def test_a_manifest_that_is_odd(folder: Path) -> None:
    manifest = folder / "synthetic.json"
    manifest.write_bytes(b'{"synthetic": "\xff"}')
    refused(folder, r"synthetic\.json is damaged \(no UTF-8 text")
    manifest.write_text('{"a":' * 50_000)
    refused(folder, r"synthetic\.json is damaged ")
    manifest.write_text('{"synthetic": true, "seed": NaN}')
    refused(folder, r"synthetic\.json is damaged ")
    for make in (os.mkfifo, os.mkdir, lambda path: path.symlink_to("nowhere")):
        manifest.unlink(missing_ok=True)
        make(manifest)
        refused(folder, r"synthetic\.json is ")
        if manifest.is_dir():
            manifest.rmdir()


def test_too_many_annotations(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kdcompress.data.mhist.table._MAX_ROWS", 20)
    refused(folder, "has more than 20 rows, which MHIST has not")
