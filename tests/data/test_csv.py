"""Images as a CSV file lists them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from own_images import cache_elsewhere, load, picture

from kdcompress.errors import DataError

__all__ = ["cache_elsewhere"]  # a fixture of every test here


CSV_ROWS = [f"img/{name}{index}.png,{name},{index // 2}" for name in ("cat", "dog") for index in range(10)]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    for number, row in enumerate(CSV_ROWS):
        picture(tmp_path / row.split(",")[0], number)
    return tmp_path


def write(
    folder: Path, rows: list[str], header: str = "path,label,group", name: str = "labels.csv", **how: Any
) -> Path:
    (folder / name).write_text("\n".join([header, *rows]) + "\n", **how)
    return folder / name


def test_a_csv_file_says_what_is_what(listed: Path) -> None:
    file = write(listed, CSV_ROWS)
    data = load("csv", file=file)
    assert data.classes == ("cat", "dog")
    assert data.train.ids[0].startswith("img/cat")
    assert not set(data.train.groups.tolist()) & set(data.test.groups.tolist())  # type: ignore[union-attr]
    assert load("csv", dir=listed).fingerprint == data.fingerprint
    parts = [f"{row.rsplit(',', 1)[0]},{'Test' if index % 5 == 0 else 'TRAIN'}" for index, row in enumerate(CSV_ROWS)]
    file = write(listed, parts, "path,label,partition", encoding="utf-8-sig", newline="\r\n")
    assert (len(load("csv", file=file).train), len(load("csv", file=file).test)) == (16, 4)
    renamed = write(listed, [row.replace(",", ";") for row in parts], "Bild;Klasse;Teil", name="de.csv")
    data = load("csv", file=renamed, path="Bild", label="Klasse", partition="Teil")
    assert len(data.test) == 4


@pytest.mark.parametrize(
    ("change", "settings", "words"),
    [
        (
            lambda rows: rows,
            {"label": "lable"},
            r"has no column 'lable' \(did you mean 'label'\?\); it has path, label",
        ),
        (lambda rows: rows, {"partition": "fold"}, r"has no column 'fold'.*name the right one with data\.partition"),
        (lambda rows: [*rows, rows[3]], {}, r"img/cat3\.png stands in line 5 and again in line 22"),
        (lambda rows: ["../secret.png,cat,1", *rows], {}, r"labels\.csv, line 2: \.\./secret\.png leaves the folder"),
        (lambda rows: ["/etc/hostname.png,cat,1", *rows], {}, r"line 2: /etc/hostname\.png leaves the folder"),
        (lambda rows: [*rows, "img/none.png,cat,1"], {}, r"do not exist below .*: img/none\.png \(line 22\)"),
        (lambda rows: [*rows, "img/cat0.png"], {}, r"line 22: not as many fields as the header's 3"),
        (lambda rows: [*rows, "img/cat0.png,,1"], {}, r"line 22: column 'label' is empty"),
        (lambda rows: [*rows, ",cat,1"], {}, r"line 22: the path is empty"),
        (lambda rows: [], {}, "has a header and no rows"),
        (lambda rows: rows[:10], {}, "holds one class alone"),
    ],
)
def test_csv_files_that_are_wrong(listed: Path, change: Any, settings: dict[str, Any], words: str) -> None:
    file = write(listed, change(CSV_ROWS))
    with pytest.raises(DataError, match=words) as caught:
        load("csv", file=file, **settings)
    assert "\n" not in str(caught.value)


def test_partitions_that_are_wrong(listed: Path) -> None:
    rows = [row.rsplit(",", 1)[0] for row in CSV_ROWS]
    file = write(
        listed, [f"{row},{'train' if index else 'holdout'}" for index, row in enumerate(rows)], "path,label,partition"
    )
    with pytest.raises(DataError, match="line 2: a partition is train, val or test, got 'holdout'"):
        load("csv", file=file)
    file = write(
        listed, [f"{row},{'train' if index else ''}" for index, row in enumerate(rows)], "path,label,partition"
    )
    with pytest.raises(DataError, match="line 2: column 'partition' is empty, and is filled in other rows"):
        load("csv", file=file)
    write(listed, CSV_ROWS, name="second.csv")
    with pytest.raises(DataError, match=r"must hold one CSV file \(there: labels\.csv, second\.csv\)"):
        load("csv", dir=listed)
    with pytest.raises(DataError, match=r"name the CSV file with data\.file"):
        load("csv")
