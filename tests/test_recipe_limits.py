"""A recipe may come from a stranger: names are names, numbers have limits, and every fault is one line."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcompress.errors import RecipeError
from kdcompress.overrides import override, parse_setting
from kdcompress.recipe import read_resolved, resolve

DEMO = (Path(__file__).parent.parent / "kdcompress" / "recipes" / "mnist-demo.toml").read_text()


@pytest.mark.parametrize(
    "name", ["", " ", "../../..", "a/b", "a\\b", ".hidden", "..", "a\nb", "x" * 101, "a\x7f", " a"]
)
def test_a_name_is_a_files_name(name: str) -> None:
    with pytest.raises(RecipeError, match=r"name must be a file's name: 1 to 100 characters, no / or \\, and no dot"):
        resolve("mnist-demo", {"name": name})


@pytest.mark.parametrize("name", ["a", "mnist-demo", "Größe 2.1", "名前", "a..b", "x" * 100])
def test_names_that_are_fine(name: str) -> None:
    assert resolve("mnist-demo", {"name": name}).name == name


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("training.epochs", 10**21), ("training.learning_rate", 1e308), ("training.batch_size", 10**9),
        ("teacher.training.epochs", 10**7), ("method.temperature", 1e300), ("split.limit", 10**30),
        ("views.count", 10**6), ("student.width", 1e9), ("teacher.preprocessing.scale", 1e-300),
        ("teacher.preprocessing.std", 5e-324), ("teacher.preprocessing.mean", [1e300]), ("seed", 2**40),
        ("teacher.preprocessing.size", 10**9), ("teacher.constants", {"x": float("inf")}), ("training.stages", [{}] * 101),
        ("training.learning_rate", float("nan")), ("method.alpha", float("inf")),
    ],
)  # fmt: skip
def test_what_no_honest_recipe_asks_for_is_one_short_line(key: str, value: Any) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve("mnist-demo", {key: value})
    told = str(caught.value)
    assert key.split(".")[0] in told
    assert len(told) < 400
    assert "\n" not in told


def test_a_number_of_thousands_of_digits_is_not_shown() -> None:
    with pytest.raises(RecipeError, match=r"training\.epochs .*, got a int that is too large to show"):
        resolve("mnist-demo", {"training.epochs": 10**5000})


def test_limits_are_told_in_whole_numbers() -> None:
    with pytest.raises(RecipeError, match=r"^training\.epochs must be <= 1000000, got 10000000$"):
        resolve("mnist-demo", {"training.epochs": 10**7})


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000 + "]" * 5000, "a = " + "{a=" * 3000 + "1" + "}" * 3000, "a = " + "9" * 6000, "\x00", "[[[",
        "data = 3", "teacher = []", "training = 'x'", "superclasses = {a = 1}", "method = {name = [1]}", '"" = 1',
        "training = {stages = 'x'}", "name = 1979-05-27", "seed = 07:32:00", "training = {epochs = nan}",
        "data = {name = {x = 1}}", "teacher = {members = 3}", "student = 1", "views = []",
    ],
)  # fmt: skip
def test_a_file_that_is_no_recipe_is_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(text)
    with pytest.raises(RecipeError) as caught:
        resolve(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.toml")
    for path in (tmp_path / "fifo.toml", Path("/dev/zero")):
        with pytest.raises(RecipeError, match=r"does not exist|must be a file|unknown recipe"):
            resolve(path)
    with pytest.raises(RecipeError, match=r"run/recipe\.toml is gone"):
        read_resolved(tmp_path / "run" / "recipe.toml")


@pytest.mark.parametrize(
    "text", ["", "=3", "a..b=1", ".=1", "training.epochs", "x=" + "[" * 5000 + "]" * 5000, "x=" + "9" * 6000]
)
def test_a_setting_that_is_none_is_one_line(text: str) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_setting(text)
    assert len(str(caught.value)) < 300


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_is_a_setting_or_refused(text: str) -> None:
    values: dict[str, Any] = {"training": {"stages": [{"epochs": 1}], "epochs": 2}}
    try:
        key, value = parse_setting(text)
        override(values, key, value)
    except RecipeError:
        return
    assert values


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.integers(0, len(DEMO)), st.integers(0, 40), st.text(max_size=12))
def test_a_damaged_recipe_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, begin: int, length: int, put: str
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.toml"
    path.write_bytes((DEMO[:begin] + put + DEMO[begin + length :]).encode("utf-8", "surrogatepass"))
    try:
        assert resolve(path).name
    except RecipeError as exc:
        assert "\n" not in str(exc).strip()
