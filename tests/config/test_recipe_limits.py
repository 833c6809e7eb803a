"""A recipe may come from a stranger: names are names, numbers have limits, and every fault is one line."""

from __future__ import annotations

import copy
import datetime
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import given, settings
from hypothesis import strategies as st

from kdcompress.config.data_settings import resolve_data_settings
from kdcompress.config.overrides import apply_override
from kdcompress.config.reading import PRESETS
from kdcompress.config.recipe import read_resolved_recipe, resolve
from kdcompress.config.toml_values import parse_setting
from kdcompress.errors import RecipeError, UsageError
from kdcompress.registry import choices
from kdcompress.sweeping._options import make_space

DEMO = (PRESETS / "mnist-demo.toml").read_text()
EARLIER = Path(__file__).parents[1] / "data" / "run-0.1" / "recipe.toml"
ENDLESS = "[" * 5000 + "]" * 5000
HUGE = 16**6000  # which TOML reads, and Python does not show
DIGITS = f"{HUGE:#x}"
MARK = 987_654_321_987


def refused(call: Callable[[], object], most: int = 420) -> str:
    """What a call is refused with, which is one line that a terminal can show."""
    with pytest.raises(RecipeError) as caught:
        call()
    told = str(caught.value)
    assert told.isprintable() and len(told) < most, told
    assert caught.value.exit_code == 2
    return told


@pytest.mark.parametrize(
    "name",
    ["", " ", "../../..", "a/b", "a\\b", ".", "..", ".hidden", "a\nb", "a\x1b[31m", "x" * 101, "a\x7f", "a\x85", " a",
     "a\u2028b", "a "],
)  # fmt: skip
def test_a_name_is_a_files_name(name: str) -> None:
    told = refused(lambda: resolve("mnist-demo", {"name": name}))
    assert told.startswith("name must be a file's name: 1 to 100 characters, no / or \\, and no dot at its start")
    assert "choose one such as 'my-run', got '" in told


def test_a_name_leaves_room_for_a_digest_in_a_folders_name() -> None:
    told = refused(lambda: resolve("mnist-demo", {"name": "名" * 67}))
    assert told.startswith("name must be a file's name of at most 200 bytes in UTF-8; choose a shorter one, got ")


@pytest.mark.parametrize("name", ["a", "mnist-demo", "Größe 2.1", "名前", "a..b", "x" * 100, "名" * 66])
def test_names_that_are_fine(name: str) -> None:
    assert resolve("mnist-demo", {"name": name}).name == name


LIMITS = [
    ("training.epochs", 10**21, "must be <= 1000000, got 1000000000000000000000"),
    ("training.learning_rate", 1e308, "must be <= 1000, got 1e+308"),
    ("training.learning_rate", float("nan"), "must be a finite number, got nan"),
    ("training.batch_size", 10**9, "must be <= 1000000,"),
    ("training.stages", [{}] * 101, "must have at most 100 items,"),
    ("training.stages", [{"epochs": 10**7}], ".0.epochs must be <= 1000000, got 10000000"),
    ("teacher.training.epochs", 10**7, "must be <= 1000000,"),
    ("teacher.seed", 2**32, "must be < 4294967296,"),
    ("seed", 2**40, "must be < 4294967296,"),
    ("split.limit", 10**13, "must be <= 1000000000000, got 10000000000000"),
    ("split.seed", -1, "must be >= 0,"),
    ("unlabelled", {"dir": "x", "limit": 10**13}, ".limit must be <= 1000000000000,"),
    ("views.count", 65, "must be <= 64,"),
    ("views.shift_px", 1e9, "must be <= 64,"),
    ("views.rotation_deg", 1e9, "must be <= 180,"),
    ("student.width", 9.0, "must be <= 8,"),
    ("method.temperature", 1e300, "must be <= 1000000, got 1e+300"),
    ("method.alpha", float("inf"), "must be a finite number, got inf"),
    ("method", {"name": "subclass", "subclasses": 1001}, ".subclasses must be <= 1000, got 1001"),
    ("method", {"name": "subclass", "subclasses": [2, 1001]}, "must be <= 1000, got 1001"),
    ("method", {"name": "subclass", "beta": 1e7}, ".beta must be <= 1000000,"),
    ("method", {"name": "subclass", "auxiliary_temperature": 1e7}, "must be <= 1000000,"),
    ("teacher.preprocessing.scale", 1e-300, "must be >= 1e-06,"),
    ("teacher.preprocessing.scale", 1e7, "must be <= 1000000,"),
    ("teacher.preprocessing.mean", [1e300], "must be <= 1000000, got 1e+300"),
    ("teacher.preprocessing.mean", -1e300, "must be >= -1000000,"),
    ("teacher.preprocessing.mean", [0.5] * 1025, "must have at most 1024 items,"),
    ("teacher.preprocessing.std", 5e-324, "not below 1e-06, got 5e-324"),
    ("teacher.preprocessing.std", [], "must have at least 1 items, got []"),
    ("teacher.preprocessing.size", 16_385, "must be <= 16384,"),
    ("teacher.preprocessing.size", [1, 2, 3], "must have at most 2 items,"),
    ("teacher.constants", {"x": 1e39}, ".x must be <= 3.5e+38, got 1e+39"),
    ("teacher.constants", {"x": float("inf")}, ".x must be a finite number, got inf"),
    ("teacher.constants", {str(n): 1 for n in range(101)}, "must have at most 100 items,"),
    ("teacher", {"members": [{"model": "mnist_cnn"}] * 101}, ".members must have at most 100 items,"),
    ("teacher", {"members": [{"model": "mnist_cnn", "weight": 1e7}]}, ".members.0.weight must be <= 1000000,"),
    ("training.epochs", 10**5000, "must be a number of fewer digits, got a number of too many digits to show"),
    ("student.model", "x" * 10_001, "must have at most 10000 characters, got 'xxx"),
]


@pytest.mark.parametrize(("key", "value", "words"), LIMITS, ids=[f"{key}-{n}" for n, (key, _, _) in enumerate(LIMITS)])
def test_what_no_honest_recipe_asks_for_is_one_short_line(key: str, value: Any, words: str) -> None:
    told = refused(lambda: resolve("mnist-demo", {key: value}, files=False))
    assert told.startswith(key)
    assert words in told


def test_lists_of_classes_are_bounded() -> None:
    told = refused(lambda: resolve("mnist-demo", {"superclasses": {"few": ["a"], "many": ["a"] * 1_000_001}}))
    assert told.startswith("superclasses.many must have at most 1000000 items, got ['a', 'a', ")


def test_what_honest_recipes_hold_is_within_the_limits() -> None:
    constants = {"training": False, "p": 0.0, "lowest": -3.4028234663852886e38, "n": -(2**63)}
    teacher = {"model": "a:b", "constants": constants, "preprocessing": {"scale": "1/65535", "std": [0.229, 0.224]}}
    assert resolve("mnist-demo", {"teacher": teacher}).teacher.constants == constants
    for name in choices("recipes"):
        resolve(name)


def odd_values() -> Iterator[Any]:
    """Of every type, and of every kind of trouble, that TOML can hold."""
    yield from (3, -1, 10**25, HUGE, 1e308, float("nan"), float("-inf"), True, "", "x", "a\0b", "\x1b[31m\n")
    yield from ("~nobody-of-this-name/x.keras", "l" * 300 + ".keras", "p/" * 3000 + "x.h5", "9" * 6000, "../../x:y")
    yield from ([], [1], ["x"], [[]], [{}], {}, {"": 1}, {"name": [1]}, {"a.b\n": {"c": []}}, {"x" * 5000: 1})
    yield from (datetime.date(1979, 5, 27), datetime.datetime(1979, 5, 27, 7, 32), datetime.time(7, 32))


def keys_of(values: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in values.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{key}.")


PLAIN = resolve("mnist-demo", {"unlabelled": {"dir": "u"}, "training.stages": [{}], "views.count": 2}).to_dict()


@pytest.mark.parametrize("key", [*keys_of(PLAIN), "training.stages.0", "training.stages.0.epochs"])
def test_any_value_under_any_key_is_taken_or_one_line(key: str, tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    for value in odd_values():
        # tomli_w asks Python for the digits
        text = tomli_w.dumps(put(key, MARK if value == HUGE else value))
        path.write_text(text.replace(str(MARK), DIGITS))
        told = [refusal(lambda: resolve(path)), refusal(lambda v=value: resolve(PLAIN, {key: v}))]  # type: ignore[misc]
        told.append(refusal(lambda: resolve_data_settings(str(path), {})) if key.startswith("data") else "")
        for one in (*told, from_run := refusal(lambda: read_resolved_recipe(path))):
            assert one.isprintable() and len(one) < 800, (value, one)
        assert from_run == "" or from_run.startswith(str(path))


def refusal(call: Callable[[], object]) -> str:
    try:
        call()
    except RecipeError as exc:
        return str(exc)
    return ""


def put(key: str, value: Any) -> dict[str, Any]:
    """A recipe with a value where `override` would not have put it."""
    values = copy.deepcopy(PLAIN)
    place: Any = values
    *sections, last = key.split(".")
    for part in sections:
        place = place[int(part) if isinstance(place, list) else part]
    place[int(last) if isinstance(place, list) else last] = value
    return values


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (f"a = {ENDLESS}", "cannot be read: "),
        ("a = " + "{a=" * 3000 + "1" + "}" * 3000, "cannot be read: "),
        ("a." * 21 + "b = 1", "is nested deeper than any recipe, 20 keys"),
        ("a." * 5000 + "b = 1", "has a line with more than 1000 dots, which no recipe needs; break the line"),
        ("a = " + "9" * 6000, "cannot be read: Exceeds the limit"),
        (f"seed = {DIGITS}", "seed must be a number of fewer digits, got a number of too many digits to show"),
        ("#" * (1 << 20) + "#", "is too large for a recipe, which has at most 1048576 characters"),
        (b"name = '\xe9'", "is not valid TOML: damaged (no UTF-8 text: invalid continuation byte at byte 8)"),
        ("\x00", "is not valid TOML: it holds NUL"), ("[[[", "is not valid TOML"),
        ("name = 'a\x1b[31m'", "Found invalid character '\\x1b'"), ("a = 1\na = 2", "Cannot overwrite a value"),
        ('name = "a\\u0000"', "name must be text without NUL, got 'a\\x00'"),
        ('"a\\nb" = 1', "name is missing"), ("", "name is missing"),
    ],
    ids=range(15),
)  # fmt: skip
def test_a_file_that_is_no_recipe_is_one_line(text: str | bytes, words: str, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    assert words in refused(lambda: resolve(path), 500)
    told = refused(lambda: read_resolved_recipe(path), 500)
    assert words in told
    assert told.startswith(str(path))


def test_what_is_no_file_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo.toml")
    Path("folder.toml").mkdir()
    Path("circle.toml").symlink_to("circle.toml")
    with Path("large.toml").open("wb") as file:
        file.truncate(300 << 20)
    for path, words in {
        "fifo.toml": "no regular file (a FIFO, a socket or a device)", "/dev/zero": "no regular file",
        "folder.toml": "is a folder; name a recipe file", "circle.toml": "must be a valid path (Too many",
        "large.toml": "314,572,800 bytes are too many", "x" * 9999 + ".toml": "must be a valid path",
        "~nobody-of-this-name/r.toml": "must be a valid path", "a\0.toml": "must be a valid path",
        "a\nb.toml": r"recipe file a\nb.toml does not exist", "": "unknown recipe ''", "x" * 200: "unknown recipe 'xxx",
    }.items():  # fmt: skip
        assert words in refused(lambda path=path: resolve(path))  # type: ignore[misc]
        refused(lambda path=path: read_resolved_recipe(Path(path)))  # type: ignore[misc]


def test_a_runs_own_recipe_that_is_gone_or_damaged_is_told_with_its_path(tmp_path: Path) -> None:
    path = tmp_path / "run" / "recipe.toml"
    assert "run/recipe.toml is gone, and nothing else holds the settings of the run; bring" in refused(
        lambda: read_resolved_recipe(path)
    )
    path.parent.mkdir()
    text = resolve("mnist-demo").to_toml()
    for old, new, words in (
        ("epochs = 12", "epochs = 0", "epochs must be >= 1, got 0"),
        ("temperature = 4.0", "temperature = 1e300", "method.temperature must be <= 1000000, got 1e+300"),
        ('name = "hinton"', 'name = "hintn"', "unknown method 'hintn'"),
        ('source = "embedded"', 'source = "nowhere"', "data.source must be one of"),
        ('model = "mnist_cnn"', 'model = ""', "one teacher.model, or several teacher.members"),
        ('name = "mnist-demo"', 'name = "../x"', "name must be a file's name"),
    ):
        assert old in text
        path.write_text(text.replace(old, new))
        told = refused(lambda: read_resolved_recipe(path), 600)
        assert told.startswith(f"{path} is damaged (")
        assert words in told
        assert told.endswith("; bring it back from a copy, or begin anew in another folder")
    path.write_text(text)
    assert read_resolved_recipe(path) == resolve("mnist-demo")


def test_a_run_of_an_earlier_version_is_read() -> None:
    assert read_resolved_recipe(EARLIER).name == "mnist-demo"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "--set takes KEY=VALUE, such as training.epochs=3, got ''"), ("=3", "got '=3'"), (".=1", "got '.=1'"),
        ("a..b=1", "got 'a..b=1'"), ("training.epochs", "got 'training.epochs'"), ("x" * 9999, "xxx..."),
        (f"x={ENDLESS}", "--set x: its value cannot be read ("),
        ("x=" + "9" * 6000, "--set x: its value cannot be read (Exceeds the limit"),
        ("\x1b" * 200 + "=" + "9" * 6000, "--set \\x1b\\x1b"),
        ("x=" + "a." * 5000, "has a line with more than 1000 dots"),
        ("training.epochs=1\nb=2", "--set takes one KEY=VALUE, got 'training.epochs=1\\nb=2'; give --set once for"),
    ],
    ids=range(11),
)  # fmt: skip
def test_a_setting_that_is_none_is_one_line(text: str, words: str) -> None:
    assert words in refused(lambda: parse_setting(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("training.epochs=[1,2", "training.epochs input should be a valid integer, .*got '\\[1,2'"),
        ("training.epochs=nan", "training.epochs must be a finite number, got nan"),
        ("training.epochs=1979-05-27", "training.epochs input should be a valid integer, got datetime.date"),
        (f"training.epochs={DIGITS}", "training.epochs must be a number of fewer digits"),
        ("a." * 5000 + "b=1", r"unknown key 'a\.a\..*: no recipe has keys of more than 20 parts"),
        ("training.stages." + "9" * 6000 + "=1", "training.stages must be a list, got {'999"),
        ("x" * 9999 + "=1", "unknown key 'xxx.*choices: assistant, baseline"),
        ("a\x1bb=1", r"unknown key 'a\\x1bb'; choices"),
        ("method.name=" + "x" * 9999, "unknown method 'x{100,200}'"), ("data.name=" + "x" * 9999, "unknown dataset"),
        ("teacher.model=a\nb.pt", r"teacher\.model: a\\nb\.pt is a file of PyTorch's pickles"),
        ("student.pretrained=" + "x" * 200, "student.pretrained must be none, imagenet or a weights file"),
        ("data=3", "data is a section, name one of its keys, got 3"), ("training.stages=x", "stages must be a list"),
    ],
    ids=range(14),
)  # fmt: skip
def test_a_setting_that_a_recipe_does_not_take_is_one_line(text: str, words: str) -> None:
    key, value = parse_setting(text)
    told = refused(lambda: resolve("mnist-demo", {key: value}))
    with pytest.raises(RecipeError, match=words):
        raise RecipeError(told)


def test_plain_values_of_any_kind_are_one_line() -> None:
    deep: dict[str, Any] = {}
    endless: dict[str, Any] = {"a": deep}
    endless["b"] = endless
    for _ in range(3000):
        deep = deep.setdefault("a", {})
    base = resolve("mnist-demo").to_dict()
    for values, words in (
        ({**base, "data": endless}, "is nested deeper than any recipe, 20 keys"),
        ({**base, "data": {"name": "mnist", "x": object()}}, "unknown key 'data.x'; choices: dir, source"),
        ({**base, "data": {"name": "mnist", 3: 4}}, "data.3"),
        ({**base, "student": {"model": "\ud800.keras"}}, "student.model must be text, not halves of characters, got '"),
        ({**base, "superclasses": {"\ud800": ["a"]}}, "a key must be text, not halves of characters, got '"),
        ({1: 2}, "name is missing"),
    ):
        assert words in refused(lambda values=values: resolve(values))  # type: ignore[misc]
    assert "a key must be text, not halves" in refused(lambda: resolve(base, {"superclasses.\ud800": ["a"]}))
    assert resolve(base, {"data.dir": "/of-bytes/\udcff"}, files=False).data.dir == "/of-bytes/\udcff"


def test_a_recipe_that_may_not_be_read_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("kdcompress.config.toml_values.read_text", closed)
    path = tmp_path / "r.toml"
    path.write_text(DEMO)
    for call in (lambda: resolve(path), lambda: read_resolved_recipe(path)):
        assert refused(call) == f"{path} cannot be read (permission denied)"


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.text(max_size=60))
def test_any_text_is_a_setting_or_refused(text: str) -> None:
    values: dict[str, Any] = {"training": {"stages": [{"epochs": 1}], "epochs": 2}}
    try:
        key, value = parse_setting(text)
        apply_override(values, key, value)
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
        assert str(exc).isprintable()


NAN, INF = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("given_", "words"),
    [
        ({"temperatures": [1, NAN]}, "--temperature must be a finite number, got nan"),
        ({"methods": ["none"], "temperatures": [INF]}, "--temperature must be a finite number, got inf"),
        ({"alphas": [-INF]}, "--alpha must be a finite number, got -inf"),
        ({"temperatures": ["x"]}, "--temperature must be a finite number, got 'x'"),
        ({"temperatures": [1, 2e6]}, "method.temperature must be <= 1000000, got 2000000.0"),
        ({"alphas": [0.5, 1.5]}, "method.alpha must be <= 1, got 1.5"),
        ({"temperatures": range(1, 1001), "alphas": [n / 1000 for n in range(1000)]},
         "a sweep has at most 100000 trainings, settings x seeds; these are 1000000"),
        ({"seeds": 10**12}, "--seeds must be <= 100000, got 1000000000000"),
        ({"temperatures": [1, 2], "trials": 10**12}, "--trials must be <= 100000, got 1000000000000"),
        ({"temperatures": [1, 2], "trials": 1000, "seeds": 101}, "these are 101000"),
        ({"methods": ["x" * 9999]}, "unknown method 'xxx"),
    ],
    ids=range(11),
)  # fmt: skip
def test_what_no_sweep_tries_is_one_line(given_: dict[str, Any], words: str) -> None:
    asked = {"methods": None, "temperatures": None, "alphas": None, "seeds": 1, "trials": None, **given_}
    with pytest.raises(UsageError) as caught:
        make_space(resolve("mnist-demo"), **asked)
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


def test_seeds_of_a_sweep_end_where_seeds_do() -> None:
    base = resolve("mnist-demo", {"seed": 2**32 - 2})
    assert make_space(base, None, None, None, 2, None).seeds == (2**32 - 2, 2**32 - 1)
    with pytest.raises(
        UsageError, match="--seeds: the recipe's seed 4294967294 and the 2 after it must be <= 42949672"
    ):
        make_space(base, None, None, None, 3, None)


def test_an_item_that_is_not_there_is_one_line() -> None:
    base = resolve("mnist-demo", {"training.stages": [{}, {}]}).to_dict()
    told = refused(lambda: resolve(base, {"training.stages." + "9" * 6000 + ".epochs": 1}))
    assert "...: there are items 0 to 1, or * for all, got '999" in told
    assert "there are items 0 to 1" in refused(lambda: resolve(base, {"training.stages.2.epochs": 1}))
    assert resolve(base, {"training.stages.01.epochs": 3}).training.stages[1].epochs == 3


def test_a_value_that_is_given_twice_is_tried_once() -> None:
    space = make_space(resolve("mnist-demo"), ["hinton", "none", "hinton"], [1, 1.0, "1", 2], [0.5, 0.5], 3, None)
    assert (space.methods, space.temperatures, space.alphas) == (("hinton", "none"), (1.0, 2.0), (0.5,))
    assert space.trainings == len(space.settings) * len(space.seeds) == 9
