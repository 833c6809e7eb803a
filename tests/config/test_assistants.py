from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kdcompress.config.recipe import read_resolved_recipe, resolve
from kdcompress.errors import RecipeError

ONE: dict[str, Any] = {"assistant.model": "mnist_mlp"}
CHAIN: dict[str, Any] = {"assistant": [{"model": "mnist_cnn"}, {"model": "mnist_mlp", "seed": 1}]}


def test_a_recipe_without_one_is_what_it_was() -> None:
    recipe = resolve("mnist-demo")
    assert recipe.assistants == ()
    assert "assistant" not in recipe.to_dict()
    assert resolve("mnist-demo", {"assistant": []}).digest == recipe.digest


def test_what_is_not_set_is_the_students() -> None:
    settings = {"assistant.model": "mnist_mlp", "assistant.training.epochs": 3, "assistant.method.temperature": 2}
    (assistant,) = resolve("mnist-demo", {**settings, "training.batch_size": 64, "method.alpha": 0.25}).assistants
    assert assistant.training is not None
    assert (assistant.training.epochs, assistant.training.batch_size) == (3, 64)
    assert assistant.method is not None
    assert assistant.method.to_dict() == {"name": "hinton", "temperature": 2.0, "alpha": 0.25}
    (plain,) = resolve("mnist-demo", {"assistant.model": "mnist_mlp"}).assistants
    assert (plain.training, plain.method, plain.seed) == (None, None, 0)


def test_stages_and_settings_of_another_method_are_not_shared() -> None:
    stages = [{"trainable": "head", "epochs": 1}, {"epochs": 2}]
    settings = {"assistant.model": "mnist_mlp", "assistant.training.batch_size": 8, "training.stages": stages}
    (assistant,) = resolve("mnist-demo", {**settings, "assistant.method.name": "dist", "method.alpha": 0.9}).assistants
    assert assistant.training is not None
    assert (assistant.training.batch_size, assistant.training.stages) == (8, ())
    assert assistant.method is not None
    assert assistant.method.alpha == 0.5


@pytest.mark.parametrize("settings", [{"assistant.model": "mnist_cnn", "assistant.method.alpha": 0.1}, CHAIN])
def test_the_recipe_of_a_run_is_read_back(settings: dict[str, Any], tmp_path: Path) -> None:
    recipe = resolve("mnist-demo", settings)
    (tmp_path / "recipe.toml").write_text(recipe.to_toml())
    assert read_resolved_recipe(tmp_path / "recipe.toml") == recipe
    assert resolve(tmp_path / "recipe.toml").digest == recipe.digest
    assert recipe.digest != resolve("mnist-demo").digest


def test_epochs_are_those_of_every_training() -> None:
    recipe = resolve("mnist-demo", {**CHAIN, "assistant.1.training.batch_size": 8}, epochs=2)
    first, second = recipe.assistants
    assert (recipe.training.epochs, first.training) == (2, None)
    assert second.training is not None
    assert second.training.epochs == 2
    own_epochs = {"assistant.model": "mnist_mlp", "assistant.training.epochs": 5}
    (own,) = resolve("mnist-demo", own_epochs, epochs=2).assistants
    assert own.training is not None
    assert own.training.epochs == 5


def test_paths_are_relative_to_the_recipe(tmp_path: Path) -> None:
    (tmp_path / "a.keras").touch()
    text = '[data]\nname = "mnist"\n[teacher]\nmodel = "mnist_cnn"\n[student]\nmodel = "mnist_mlp"\n'
    chain = '[[assistant]]\nmodel = "a.keras"\n[[assistant]]\nmodel = "b.keras"\n'
    (tmp_path / "r.toml").write_text(f'name = "r"\n{text}{chain}')
    with pytest.raises(RecipeError, match=r"assistant.1.model: model file .*b\.keras does not exist"):
        resolve(tmp_path / "r.toml")
    recipe = resolve(tmp_path / "r.toml", files=False)
    assert recipe.files["assistant-1"] == str(tmp_path / "a.keras")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"assistant.modl": "mnist_mlp"}, "model is missing"),
        ({"assistant.model": "nope"}, "assistant.model: unknown model 'nope'"),
        ({"assistant.model": "big.onnx"}, "cannot be trained; a student is a Keras model"),
        ({**ONE, "assistant.seed": -1}, "assistant.seed must be >= 0"),
        ({**ONE, "assistant.sed": 1}, "unknown key 'assistant.sed'"),
        ({**CHAIN, "assistant.1.seed": -1}, "assistant.1.seed must be >= 0"),
        ({"assistant": 3}, "assistant is a section, or a list of sections, got 3"),
        ({**ONE, "assistant.method.temperature": -1}, "assistant.method.temperature must be > 0"),
        ({**ONE, "assistant.method.name": "foo"}, "unknown method 'foo'"),
        ({**CHAIN, "assistant.2.seed": 1}, "there are items 0 to 1"),
    ],
)
def test_what_is_wrong(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        resolve("mnist-demo", settings)
