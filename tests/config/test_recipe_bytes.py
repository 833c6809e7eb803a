"""Recipe files from other systems and editors: marks, UTF-16, Windows paths, curly quotes, keys that are left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kdcompress.config.data_settings import resolve_data_settings
from kdcompress.config.recipe import resolve
from kdcompress.config.toml_values import parse_toml
from kdcompress.errors import RecipeError

TEXT = 'name = "hündin"\n[data]\nname = "mnist"\n[teacher]\nmodel = "mnist_cnn"\n[student]\nmodel = "mnist_mlp"\n'


def write(tmp_path: Path, content: str | bytes) -> Path:
    (tmp_path / "r.toml").write_bytes(content.encode() if isinstance(content, str) else content)
    return tmp_path / "r.toml"


def refusal(path: Path) -> str:
    with pytest.raises(RecipeError) as caught:
        resolve(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(path))
    return str(caught.value).removeprefix(str(path))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_marks_and_utf_16_change_nothing(tmp_path: Path, encoding: str, ends: str) -> None:
    recipe = resolve(write(tmp_path, TEXT.replace("\n", ends).encode(encoding)))
    assert recipe.digest == resolve(write(tmp_path, TEXT)).digest
    assert recipe.name == "hündin"


def test_big_endian_utf_16(tmp_path: Path) -> None:
    assert resolve(write(tmp_path, b"\xfe\xff" + TEXT.encode("utf-16-be"))).name == "hündin"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (TEXT.encode("latin-1"), "no UTF-8 text: invalid "),
        (TEXT.encode("utf-16-le"), ""),
        (TEXT.replace("ü", "u").encode("utf-16-le"), "it holds NUL, as UTF-16 without a mark does"),
        (TEXT.encode("utf-16")[:-1], "no UTF-8 text: "),
        (b"\xff\xfe\x00\x00" + TEXT.encode("utf-32-le"), "it holds NUL"),
    ],
)
def test_other_bytes_are_refused_with_what_to_do(tmp_path: Path, content: bytes, words: str) -> None:
    message = refusal(write(tmp_path, content))
    assert words in message
    assert message.endswith("; save it as UTF-8")


PATHS = [
    r"C:\Users\me\photos", r"D:\data\x", r"C:\Users\new\table", r"\\server\share\x", r"photos\Ümit", r"C:\x\d",
    r"..\up\data", r"C:\Program Files\it's\d",
]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("quote", ['"{}"', '"{}"  # where they are', '[1, "{}"]'])
def test_a_backslash_in_quotes_has_the_line_that_is_right(path: str, quote: str) -> None:
    with pytest.raises(RecipeError, match="is not valid TOML") as caught:
        parse_toml(f"a = 1\ndir = {quote.format(path)}\n", "r.toml")
    remedy = str(caught.value).partition("a backslash starts an escape: write ")[2]
    versions = remedy.split(" or ") if "'" not in path else [remedy]
    assert len(versions) == (1 if "'" in path else 2)
    assert [parse_toml(f"dir = {version}", "r.toml")["dir"] for version in versions] == [path] * len(versions)


@pytest.mark.parametrize("path", [r"D:\new\test", r"photos\train", r"C:\temp", r"E:\r\b"])
def test_escapes_that_are_valid_are_no_folders(tmp_path: Path, path: str) -> None:
    source = write(tmp_path, TEXT.replace('name = "mnist"', f'name = "mnist"\ndir = "{path}"'))
    assert "is a control character; write paths with backslashes in '...', or double" in refusal(source)
    doubled = path.replace("\\", "\\\\")
    for right in (f"'{path}'", f'"{doubled}"'):
        data = resolve(write(tmp_path, TEXT.replace('name = "mnist"', f'name = "mnist"\ndir = {right}'))).data
        assert str(data.dir).endswith(path)


def test_a_folder_whose_name_holds_a_tab_is_one(tmp_path: Path) -> None:
    (tmp_path / "a\tb").mkdir()
    data = resolve(write(tmp_path, TEXT.replace('name = "mnist"', 'name = "mnist"\ndir = "a\\tb"'))).data
    assert data.dir == str(tmp_path / "a\tb")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("dir = “photos”", 'quotes are straight: " and not “'),
        ("dir = ‘photos’", 'quotes are straight: " and not ‘'),
        ("dir = photos/cats # mine", 'text stands in quotes: dir = "photos/cats"'),
        ("dir = ./photos", 'text stands in quotes: dir = "./photos"'),
    ],
)
def test_quotes_that_are_none(line: str, words: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(words)):
        parse_toml(f"[data]\n{line}\n", "r.toml")


def test_long_lines_take_no_time() -> None:
    for line in ("a = b" + " " * 900_000 + '"', "a = " + '"\\q' * 200_000, "a = “" * 200_000):
        with pytest.raises(RecipeError, match="is not valid TOML"):
            parse_toml(line, "r.toml")


@pytest.mark.parametrize(
    ("left_out", "words"),
    [
        ('name = "hündin"', ': name is missing; add at the top: name = "my-run"'),
        ('name = "mnist"', ': data.name is missing; add to section [data]: name = "folder"; choices: arrays, csv, '),
        ('model = "mnist_mlp"', ': student.model is missing; add to section [student]: model = "student.keras"'),
        ('[data]\nname = "mnist"', ': data is missing; add a section: [data] with name = "folder" and dir = "photos"'),
        ('[student]\nmodel = "mnist_mlp"', ': student is missing; add a section: [student] with model = "student'),
        ('[teacher]\nmodel = "mnist_cnn"', ': teacher is missing; add a section: [teacher] with model = "teacher'),
    ],
)
def test_a_key_that_is_left_out_is_told_with_file_and_line(tmp_path: Path, left_out: str, words: str) -> None:
    assert refusal(write(tmp_path, TEXT.replace(left_out, ""))).startswith(words)


def test_data_alone_name_the_file_too(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT.replace('name = "mnist"', ""))
    with pytest.raises(RecipeError, match=r"r\.toml: data\.name is missing; add to section"):
        resolve_data_settings(str(path), {})
    assert resolve_data_settings(str(path), {"data.name": "mnist"}).data == {"name": "mnist"}


@pytest.mark.parametrize(
    ("key", "misspelt"),
    [
        ("[data]", "Data"),
        ("[data]", "dataset"),
        ("[student]", "studnet"),
        ("[teacher]", "TEACHER"),
        ('name = "mnist"', "Name"),
    ],
)
def test_a_key_that_is_misspelt_is_named_beside_the_one_that_is_missing(
    tmp_path: Path, key: str, misspelt: str
) -> None:
    other = f"[{misspelt}]" if key.startswith("[") else f'{misspelt} = "mnist"'
    path = write(tmp_path, TEXT.replace(key, other))
    assert " is missing; add " in refusal(path)
    assert refusal(path).endswith(f"; is {misspelt!r} a misspelling of it?")
    if misspelt in ("Data", "dataset", "Name"):
        with pytest.raises(RecipeError, match=f"; is '{misspelt}' a misspelling of it"):
            resolve_data_settings(str(path), {})
