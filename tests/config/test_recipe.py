from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdcompress.config.reading import PRESETS
from kdcompress.config.recipe import resolve
from kdcompress.config.toml_values import parse_setting
from kdcompress.errors import RecipeError
from kdcompress.methods.hinton import Hinton


def test_the_paper_s_recipe() -> None:
    recipe = resolve("mnist")
    assert recipe.method.to_dict() == {"name": "hinton", "temperature": 4.0, "alpha": 0.5}
    assert (recipe.training.epochs, recipe.training.batch_size, recipe.training.learning_rate) == (12, 256, 1e-3)
    assert recipe.teacher.training == recipe.training
    assert recipe.views.count == 1


def test_round_trip_writes_every_default(tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(
        'name = "r"\n[data]\nname = "mnist"\n[teacher]\nmodel = "mnist_cnn"\n'
        '[student]\nmodel = "mnist_mlp"\n[method]\nname = "hinton"\n'
    )
    recipe = resolve(path)
    again = tmp_path / "again.toml"
    again.write_text(recipe.to_toml())
    assert resolve(again) == recipe
    for default in ("temperature = 4.0", "alpha = 0.5", "validation_fraction = 0.05", "rotation_deg = 10.0"):
        assert default in again.read_text()


def test_the_recipe_that_init_writes_is_valid_and_names_every_key() -> None:
    text = (PRESETS / "_init.toml").read_text()
    recipe = resolve(PRESETS / "_init.toml")
    plain: dict[str, Any] = recipe.model_dump()
    for section in ("split", "views", "training", "method"):
        for key in plain[section]:
            assert f"{key} = " in text, f"{section}.{key} is not explained"


STAGES = [{"trainable": "head", "epochs": 10}, {"learning_rate": 1e-4}]


def test_stages_take_over_what_they_do_not_say_and_are_written_out() -> None:
    given = {"epochs": 25, "learning_rate": 1e-3, "stages": STAGES}
    recipe = resolve("mnist", {"training": given})
    assert recipe.to_dict()["training"]["stages"] == [
        {"trainable": "head", "epochs": 10, "learning_rate": 1e-3},
        {"trainable": "all", "epochs": 25, "learning_rate": 1e-4},
    ]
    assert [(one.begin, one.end) for one in recipe.training.plan] == [(0, 10), (10, 35)]
    assert recipe.training.total_epochs == 35
    assert resolve(recipe.to_dict()) == recipe


def test_epochs_set_every_stage_also_of_the_teacher() -> None:
    from kdcompress.api._recipe import recipe_of

    settings = {"training": {"stages": STAGES}, "teacher.training.stages": STAGES}
    base = resolve("mnist", settings)
    recipe = recipe_of(base, epochs=2)
    for training in (recipe.training, recipe.teacher.training):
        assert [one.end - one.begin for one in training.plan] == [2, 2]
    assert recipe_of("mnist", epochs=2).training.total_epochs == 2


def test_epochs_reach_members_with_a_training_of_their_own() -> None:
    from kdcompress.api._recipe import recipe_of

    members = [
        {"model": "mnist_cnn"},
        {"model": "mnist_cnn", "seed": 1, "training": {"batch_size": 64, "stages": STAGES}},
    ]
    given = {"teacher": {"members": members, "training": {"epochs": 20, "batch_size": 32}}}
    for base in (resolve("mnist", {"teacher": given["teacher"]}), resolve("mnist").to_dict() | given):
        one, two = recipe_of(base, epochs=3).teacher.teachers
        assert (one.training.total_epochs, one.training.batch_size) == (3, 32)
        assert (two.training.total_epochs, two.training.batch_size) == (6, 64)
    assert recipe_of("mnist", epochs=3, settings={"training.epochs": 5}).training.epochs == 5


@pytest.mark.parametrize("of", ["", "teacher."])
@pytest.mark.parametrize("last", ["epochs", "learning_rate"])
def test_what_every_stage_has_of_its_own_is_not_set_in_vain(of: str, last: str) -> None:
    stages = [{"trainable": "head", "epochs": 1, "learning_rate": 0.1}, {"epochs": 2, "learning_rate": 0.2}]
    base = resolve("mnist", {f"{of}training.stages": stages})
    with pytest.raises(
        RecipeError, match=rf"{of}training.{last} would change nothing, .* {of}training.stages.\*.{last}"
    ):
        resolve(base.to_dict(), {f"{of}training.{last}": 5})
    section = base.to_dict()["teacher"]["training"] if of else base.to_dict()["training"]
    assert last not in section
    changed = resolve(base.to_dict(), {f"{of}training.stages.*.{last}": 5})
    plan = (changed.teacher.training if of else changed.training).plan
    assert {5} == {one.end - one.begin if last == "epochs" else one.learning_rate for one in plan}


def test_whether_a_teacher_is_checked_makes_no_other_run() -> None:
    assert resolve("mnist").digest == resolve("mnist", {"teacher.check": False}).digest
    assert resolve("mnist").digest != resolve("mnist", {"teacher.outputs": "logits"}).digest


@pytest.mark.parametrize("key", ["training.stages.*.epochs", "teacher.members.*.seed"])
def test_all_of_nothing_is_not_set_in_vain(key: str) -> None:
    with pytest.raises(RecipeError, match=f"{key.replace('*', '.')} would change nothing: there are no "):
        resolve("mnist", {key: 3})


def test_settings_are_held_to_what_they_make_together_in_any_order() -> None:
    base = resolve("mhist").to_dict()
    given = {"training.epochs": 7, "training.stages": [{"trainable": "head"}]}
    for order in (list(given), list(reversed(given))):
        assert resolve(base, {key: given[key] for key in order}).training.total_epochs == 7


def test_a_member_that_sets_one_key_of_its_training_shares_the_rest() -> None:
    shared = {"batch_size": 32, "learning_rate": 0.5}
    members = [{"model": "mnist_cnn", "training": {"epochs": 3}}, {"model": "mnist_cnn"}]
    teacher = {"members": members, "training": shared}
    one, two = resolve("mnist", {"teacher": teacher}).teacher.members
    assert (one.training.epochs, one.training.batch_size, one.training.learning_rate) == (3, 32, 0.5)
    assert (two.training.epochs, two.training.batch_size) == (12, 32)


def test_what_is_laid_over_a_recipe_stays_as_it_was() -> None:
    stages = [dict(stage) for stage in STAGES]
    resolve("mnist", {"training.stages": stages, "training.stages.*.epochs": 3})
    assert stages == STAGES


def test_an_item_of_a_list_is_set_by_its_number() -> None:
    base = resolve("mnist", {"training.stages": STAGES}).to_dict()
    assert resolve(base, {"training.stages.1.epochs": 7}).training.stages[1].epochs == 7
    with pytest.raises(RecipeError, match=r"items 0 to 1, or \* for all, got '2'"):
        resolve(base, {"training.stages.2.epochs": 7})


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("method.temperature", 0, "method.temperature must be > 0, got 0"),
        ("method.temperature", -1.5, "method.temperature must be > 0, got -1.5"),
        ("method.temperature", float("inf"), "method.temperature must be a finite number, got inf"),
        ("method.alpha", 1.5, "method.alpha must be <= 1, got 1.5"),
        ("method.alpha", -0.1, "method.alpha must be >= 0, got -0.1"),
        ("method.temprature", 4, "unknown key 'method.temprature' (did you mean 'temperature'?); choices: alpha"),
        (
            "method.name",
            "hintn",
            "unknown method 'hintn' (did you mean 'hinton'?); choices: dist, dkd, embedding, hinton, none",
        ),
        ("method.name", 5, "method.name must be one of them, got 5; choices: dist, dkd, embedding, hinton, none"),
        ("data.name", "cifar", "unknown dataset 'cifar'; choices: arrays, csv, ebhi-seg, folder, mhist, mnist"),
        ("data.source", "web", "data.source must be one of 'auto' or 'embedded', got 'web'"),
        ("training.epochs", 0, "training.epochs must be >= 1, got 0"),
        ("training.epochs", 2.5, "training.epochs must be a whole number, got 2.5"),
        ("training.learning_rate", 0, "training.learning_rate must be > 0, got 0"),
        ("trainin.epochs", 1, "unknown key 'trainin' (did you mean 'training'?)"),
        ("teacher.training.epoch", 1, "unknown key 'teacher.training.epoch' (did you mean 'epochs'?)"),
        ("split.validation_fraction", 1.0, "split.validation_fraction must be < 1, got 1.0"),
        ("split.limit", 0, "split.limit must be >= 1, got 0"),
        ("teacher.weights", "imagenet", "teacher.weights must be one of 'train' or 'none', got 'imagenet'"),
        ("teacher.model", "mnist_cn", "teacher.model: unknown model 'mnist_cn' (did you mean 'mnist_cnn'?)"),
        ("student.model", "missing.keras", "missing.keras does not exist"),
        ("training", 3, "training is a section, name one of its keys, got 3"),
        ("student.model", "my_models.py:small", "student.model: name the module without .py: my_models:small"),
        ("seed", "abc", "seed input should be a valid integer"),
        ("training.stages", [{"trainable": "head", "epoch": 1}], "unknown key 'training.stages.0.epoch' (did you"),
        ("training.stages", [{"epochs": 0}], "training.stages.0.epochs must be >= 1, got 0"),
        ("training.choose_by", "f1", "training.choose_by must be one of 'accuracy', 'auc' or 'loss', got 'f1'"),
        ("seed.deeper", 1, "unknown key 'seed.deeper': seed is a value, not a section"),
    ],
)
def test_wrong_values_are_refused_with_rule_and_value(key: str, value: object, words: str) -> None:
    with pytest.raises(RecipeError) as caught:
        resolve("mnist", {key: value})
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unknown_recipe_names_the_choices() -> None:
    with pytest.raises(RecipeError, match=r"unknown recipe 'mnits' \(did you mean 'mnist'\?\); choices: ebhi, .*mnist"):
        resolve("mnits")
    with pytest.raises(RecipeError, match=r"recipe file nowhere\.toml does not exist"):
        resolve("nowhere.toml")


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe1", b"[data\n"])
def test_toml_that_does_not_parse(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.toml"
    path.write_bytes(content)
    with pytest.raises(RecipeError, match=r"bad\.toml is not valid TOML"):
        resolve(path)


def test_paths_in_a_file_are_relative_to_it(tmp_path: Path) -> None:
    (tmp_path / "t.keras").write_bytes(b"x")
    path = tmp_path / "r.toml"
    path.write_text(
        'name = "r"\n[data]\nname = "mnist"\ndir = "digits"\n[teacher]\nmodel = "t.keras"\n'
        '[student]\nmodel = "mnist_mlp"\n[method]\nname = "none"\n'
    )
    recipe = resolve(path)
    assert recipe.teacher.model == str(tmp_path / "t.keras")
    assert recipe.data.dir == str(tmp_path / "digits")


def test_another_method_keeps_the_settings_it_knows() -> None:
    assert resolve("mnist", {"method.name": "none"}).method.to_dict() == {"name": "none"}
    assert resolve("mnist", {"method.name": "hinton", "method.alpha": 0.9}).method.temperature == 4.0
    with pytest.raises(RecipeError, match=r"unknown key 'method\.temperature'; choices: \(none\)"):
        resolve("mnist", {"method.name": "none", "method.temperature": 2.0})


def test_where_data_lies_does_not_make_another_recipe() -> None:
    assert resolve("mnist", {"data.dir": "/a"}).digest == resolve("mnist", {"data.dir": "/b"}).digest
    assert resolve("mnist", {"seed": 1}).digest != resolve("mnist").digest


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("training.epochs=3", ("training.epochs", 3)),
        ("method.alpha = 0.25", ("method.alpha", 0.25)),
        ("baseline=false", ("baseline", False)),
        ("teacher.model=mnist_cnn", ("teacher.model", "mnist_cnn")),
        ("teacher.model='a b.keras'", ("teacher.model", "a b.keras")),
    ],
)
def test_settings_are_read_as_toml_or_text(text: str, expected: tuple[str, object]) -> None:
    assert parse_setting(text) == expected


def test_a_setting_without_a_value() -> None:
    with pytest.raises(RecipeError, match="KEY=VALUE"):
        parse_setting("training.epochs")


def test_settings_of_the_method_by_key_are_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match=r"take recipe\.method\.temperature"):
        assert resolve("mnist").method["temperature"] == 4.0


def test_a_recipe_takes_its_method_as_an_object() -> None:
    recipe = resolve({**resolve("mnist").to_dict(), "method": Hinton(temperature=2.0)})
    assert recipe.to_dict()["method"] == {"name": "hinton", "temperature": 2.0, "alpha": 0.5}
    assert resolve(recipe.to_dict()) == recipe


def test_a_data_set_of_one_s_own_is_the_same_wherever_its_folder_lies(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its path is relative to the recipe, and no part of what decides a run; its module may have a long name."""
    package = tmp_path / "a_company_with_a_long_name" / "a_department_with_a_name_that_is_longer_than_that"
    package.mkdir(parents=True)
    (package / "a_module_for_the_images_of_this_department.py").write_text(
        "from kdcompress.data import DatasetSource\n\n\n"
        'class Own(DatasetSource):\n    """Own."""\n\n    def load(self, progress):\n        return None\n',
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    name = f"{package.parent.name}.{package.name}.a_module_for_the_images_of_this_department:Own"
    assert len(name) > 120
    digests = set()
    for folder in ("here", "there"):
        (tmp_path / folder).mkdir()
        path = tmp_path / folder / "recipe.toml"
        path.write_text(
            f'name = "own"\n[data]\nname = "{name}"\ndir = "images"\n'
            '[teacher]\nmodel = "mnist_cnn"\n[student]\nmodel = "mnist_mlp"\n',
            encoding="utf-8",
        )
        recipe = resolve(path)
        assert recipe.data.dir == str(tmp_path / folder / "images")
        digests.add(recipe.digest)
    assert len(digests) == 1
