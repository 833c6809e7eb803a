"""How a student learns: its initial weights, what it is fed, and what its training depends on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.config.recipe import Recipe
from kdcompress.digests import json_digest
from kdcompress.errors import ModelError
from kdcompress.methods import Method
from kdcompress.models import Forward, load_model, model_digest, seed_everything
from kdcompress.pipeline.data import RecipeData
from kdcompress.teachers import N_INSPECTED, Targets, are_probabilities
from kdcompress.training.feed import Feed
from kdcompress.training.fitting import Phase, check_stages


@dataclass(frozen=True)
class StudentFactory:
    """A recipe with its data: everything that a student's training is a function of, but for the targets."""

    recipe: Recipe
    data: RecipeData

    def build(self, method: Method) -> Any:
        """A student with the head that `method` wants, and its initial weights: the same for every call.

        Errors: ModelError if it does not fit, or ends in probabilities.
        """
        recipe, classes = self.recipe, self.data.classes
        seed_everything(recipe.seed)
        head = method.head(classes)
        why = "" if head == classes.count else f"the method wants {head} subclass logits for {classes.count} classes"
        shape, note = self.data.dataset.input_shape, self.data.note_once
        model = load_model(recipe.student.model, shape, head, "student", why, recipe.student.initialization, note)
        check_stages(model, recipe.training, "training")
        if are_probabilities(Forward(model)(self.data.split.train.images[:N_INSPECTED])):
            raise ModelError(
                f"student {recipe.student.model} ends in probabilities (softmax); it must end in logits: "
                "remove the last activation"
            )
        return model

    def make_phase(
        self,
        name: str,
        method: Method,
        model: Any,
        targets: Targets | None,
        checkpoint: Path,
        features: Path | None = None,
    ) -> Phase:
        """The training of `model` as `name`; its key names all that it depends on."""
        key = {
            "recipe": self.recipe.digest,
            "split": self.data.split.fingerprint,
            "targets": targets and targets.key,
            "initial": model_digest(model),
        }
        return Phase(name, json_digest(key), method, self.recipe.training, checkpoint, features)

    def make_feed(self, method: Method, targets: Targets | None) -> Feed:
        """What a model is trained on: images without labels only with targets, but always in as many steps."""
        recipe, transfer = self.recipe, self.data.transfer
        size, seed = recipe.training.batch_size, recipe.seed
        weigh, balanced = recipe.training.weighs_classes, recipe.training.balances_batches
        if targets is None:
            train, draws = self.data.split.train, len(transfer)
            return Feed(train, recipe.views, None, size, seed, draws, weigh=weigh, balanced=balanced)

        # An image without label has no other loss: alpha is 1 on it
        def unlabelled_weight(epoch: int) -> float:
            return 1 / weight if (weight := method.weight_at(epoch)) else 1.0

        return Feed(
            transfer,
            recipe.views,
            {name: targets.arrays[name] for name in method.wants},
            size,
            seed,
            len(transfer),
            unlabelled_weight,
            weigh=weigh,
            balanced=balanced,
            labels_with_targets=method.needs_labels,
        )
