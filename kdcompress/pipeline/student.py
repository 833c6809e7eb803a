"""Everything that the training of a student depends on: initial weights, batches, and settings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdcompress.digests import json_digest
from kdcompress.errors import ModelError
from kdcompress.methods import Method
from kdcompress.models import Forward, load_model, model_digest, seed_everything
from kdcompress.pipeline.experiment import Experiment
from kdcompress.pipeline.validation import check_compressible
from kdcompress.teachers import EMBEDDING, N_INSPECTED, Targets, are_probabilities
from kdcompress.training.feed import Feed
from kdcompress.training.phase import Phase, check_stages
from kdcompress.training.projection import check_projectable, space_of


@dataclass(frozen=True)
class StudentFactory:
    """Makes students with their training settings and batches.

    Attributes:
        experiment: The recipe and its data.
        role: What the student is called in messages.
    """

    experiment: Experiment
    role: str = "student"

    def build(self, method: Method) -> Any:
        """Build a student with its initial weights, the same in every call.

        Args:
            method: The method, whose head the student gets.

        Returns:
            The Keras model.

        Raises:
            ModelError: The model does not match the data or the stages of training, or ends in probabilities.
        """
        recipe, data = self.experiment.recipe, self.experiment.data
        seed_everything(recipe.seed)
        head, classes = method.head(data.classes), data.classes.count
        why = "" if head == classes else f"the method wants {head} subclass logits for {classes} classes"
        shape, section = data.dataset.input_shape, recipe.student
        model = load_model(section.model, shape, head, self.role, why, section.initialization, data.note_once)
        check_stages(model, recipe.training, "training" if self.role == "student" else "assistant.training")
        check_compressible(recipe, model)
        if EMBEDDING in method.wants:
            check_projectable(model)
        if are_probabilities(Forward(model, traced=False)(data.split.train.images[:N_INSPECTED])):
            raise ModelError(
                f"{self.role} {section.model} ends in probabilities (softmax); it must end in logits: "
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
        """Make the training phase of a model.

        Args:
            name: student or baseline.
            method: The method that the model is trained with.
            model: The model with its initial weights.
            targets: Targets of the transfer set; None without a teacher.
            checkpoint: Path of the checkpoint.
            features: Folder for the outputs of frozen layers; beside the checkpoint by default.

        Returns:
            The phase, whose key is a digest of everything that the training depends on.
        """
        recipe, data = self.experiment.recipe, self.experiment.data
        key = {
            "recipe": recipe.digest,
            "split": data.split.fingerprint,
            "targets": targets and targets.key,
            "initial": model_digest(model),
        }
        space = space_of(targets) if targets else None
        return Phase(name, json_digest(key), method, recipe.training, checkpoint, features, space, recipe.seed)

    def make_feed(self, method: Method, targets: Targets | None) -> Feed:
        """Make the batches of a training, whose number does not depend on whether there are targets.

        Args:
            method: The method that the model is trained with.
            targets: Targets of the transfer set. None, without a teacher, leaves out images without labels.

        Returns:
            The batches.
        """
        recipe, data = self.experiment.recipe, self.experiment.data
        size, seed = recipe.training.batch_size, recipe.seed
        weigh, balanced = recipe.training.weighs_classes, recipe.training.balances_batches
        if targets is None:
            train, draws = data.split.train, data.draws
            return Feed(train, recipe.views, None, size, seed, draws, weigh=weigh, balanced=balanced)

        # An image without a label has no other loss, so its distillation loss gets weight 1, as if alpha were 1
        def unlabelled_weight(epoch: int) -> float:
            return 1 / weight if (weight := method.weight_at(epoch)) else 1.0

        return Feed(
            data.transfer,
            recipe.views,
            {name: targets.arrays[name] for name in method.wants},
            size,
            seed,
            data.draws,
            unlabelled_weight,
            weigh=weigh,
            balanced=balanced,
            labels_with_targets=method.needs_labels,
        )
