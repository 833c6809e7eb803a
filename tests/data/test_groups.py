"""Groups by a regular expression that may be a stranger's."""

from __future__ import annotations

import re
import time
import warnings
from pathlib import Path

import pytest
from own_images import cache_elsewhere, load, picture, pictures

from kdcompress.data import groups as _groups
from kdcompress.data.groups import extract_groups, validate_pattern
from kdcompress.errors import DataError, RecipeError

__all__ = ["cache_elsewhere"]  # a fixture of every test here

NAMES = [
    "train/cat/case1-10.png",
    "dog/A{2}b{e<=1}.jpg",
    "größe/ñandú_07.PNG",
    "x/a b\tc.png",
    "0/{}{x}.tif",
    "q/[[w]].gif",
]
PATTERNS = [
    r"([^/]+)/[^/]+$", r"([^/-]+)-[^/]*$", r"\d+", r"(?P<case>[a-z]+)\d*", r"^(?:x|(q))", r"[^/]*\.(?i:png)$", r"\w+",
    r"b{e<=1}", r"A\{2\}", r"{", r"{}", r"{x}", r"[{]", r"a{1}", r"t{1,2}", r"[a-z]{2,}", r"\{\}", r"[[]", r"\bn?\w",
    r"(?s:.)(.)\1?",
    r"(?<=/)[^/]", r"(?<!x)/(.)", r"\S+\s\S", r"(a)?b", r"(?x) c a t # a cat", r"\N{DIGIT ONE}", r"[\w-]+-",
    r"(?:)", r".{,3}", r"\A.", r".\Z", r"[^\W\d_]+", r"(?i)CAT", r"\.(png|jpg|tif)", r"(..)+?/",
]  # fmt: skip


@pytest.mark.parametrize("pattern", ["[[a-z]+", "[[:alpha:]]+", "[a||b]", "[a&&b]", "[a~~b]"])
def test_sets_of_odd_characters_come_without_warnings_of_python(pattern: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        validate_pattern(pattern)
    assert extract_groups(pattern, ["/abc"])[0].startswith("a")


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("name", NAMES)
def test_a_pattern_means_what_it_means_to_python(pattern: str, name: str) -> None:
    validate_pattern(pattern)
    found = re.search(pattern, name)
    if found is None:
        with pytest.raises(DataError, match="matches nothing in"):
            extract_groups(pattern, [name])
        return
    expected = found[1] if found.re.groups and found[1] is not None else found[0]
    assert extract_groups(pattern, [name]) == [expected]


EXPLOSIVE = [
    r"^(a+)+$", r"^(a|aa)+$", r"^(a|a?)+$", r"(.*a){25}$", r"^(([a-z])+.)+[A-Z]([a-z])+$", r"^(a*)*b", r"(a+){10}b\b",
    r"^(?:a?){40}a{40}!$", r"((a+)+)+$", r"^0/(a+a+)+$",
]  # fmt: skip


@pytest.mark.parametrize("pattern", EXPLOSIVE)
def test_a_pattern_that_explodes_ends(pattern: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_groups, "_SECONDS", 0.2)
    begin = time.monotonic()
    name = "a" * 60 + "!"
    try:
        extract_groups(pattern, [name])  # some have an answer in time
    except DataError as exc:
        assert repr(pattern) in str(exc)
        assert name in str(exc)
        assert "\n" not in str(exc)
    assert time.monotonic() - begin < 3


def test_the_time_for_all_is_limited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_groups, "_SECONDS_IN_ALL", 0.5)
    begin = time.monotonic()
    with pytest.raises(
        DataError, match=r"takes too long on 'a+!': a repetition within a repetition, as in \(a\+\)\+, can"
    ):
        extract_groups("^(a|aa)+$|!", ["a" * 60 + "!"] * 1000)
    assert time.monotonic() - begin < 3
    monkeypatch.setattr(_groups, "_SECONDS_IN_ALL", 0.0)
    pictures(tmp_path)
    with pytest.raises(DataError, match=r"data\.group: '\(case\)' takes too long on 'cat/case0-0\.png'"):
        load("folder", dir=tmp_path, group="(case)")


def test_a_recipe_with_such_a_pattern(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_groups, "_SECONDS", 0.3)
    pictures(tmp_path)
    picture(tmp_path / "cat" / f"{'a' * 60}!.png", 5)
    with pytest.raises(DataError, match=r"data\.group: .* takes too long on 'cat/a+!\.png'"):
        load("folder", dir=tmp_path, group="^cat/(a|aa)+$|case")


@pytest.mark.parametrize(
    "pattern",
    ["(", "a{2,1}", "[z-a]", "(" * 900,
     "(" * 400 + ")" * 400, "a" * 1001, r"\p{L}", "(?P<a>x)(?P<a>y)", "x{99999999999999}",
     r"(?<=a+)b", "*", r"\L<names>", "(?i", "[[:foo:]"],
)  # fmt: skip
def test_what_is_no_pattern_is_told(tmp_path: Path, pattern: str) -> None:
    with pytest.raises(
        RecipeError, match=r"data\.group must (be a regular expression|have 1,000 characters|have 100,000 letters)"
    ) as caught:
        load("folder", dir=tmp_path, group=pattern)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "pattern",
    [
        "(?:" * 90 + "a{60000}" + "){60000}" * 90,
        "(?:a{0,9999}){0,9999}",
        "x{9999999}",
        "((a{1000}){1000}){1000}",
        "(?:[(]b{300}){400}",
        "[])]{200000}",
        "[a-z]{1,65000}" * 60,
    ],
)
def test_patterns_are_compiled_in_no_time(pattern: str) -> None:
    begin = time.monotonic()
    try:
        validate_pattern(pattern)
        extract_groups(pattern, ["a" * 50])
    except (ValueError, DataError):
        pass
    assert time.monotonic() - begin < 5


@pytest.mark.parametrize(
    "pattern", [r"[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}", r"(\d{4}-\d{2}-\d{2})", r"[^/]{1,200}/", "a{0}b"]
)
def test_repetitions_that_are_usual(pattern: str) -> None:
    validate_pattern(pattern)


def test_a_pattern_that_would_be_written_out_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"data\.group must have 100,000 letters at most when its repetitions are"):
        load("folder", dir=tmp_path, group="(?:ab{1000}){1000}")
