"""The networks of keras.applications, with their preprocessing inside."""

from __future__ import annotations

from typing import Any

from kdcompress.models._applications import APPLICATIONS, Application
from kdcompress.models._backbone import classifier, name_by_position, set_normalization
from kdcompress.models._base import Architecture
from kdcompress.models._family import Family
from kdcompress.models._published import PublishedWeights


class KerasApplications(Family):
    """The networks of keras.applications."""

    @staticmethod
    def names() -> list[str]:
        """List the networks."""
        return list(APPLICATIONS)

    @staticmethod
    def describe(name: str) -> str:
        """Describe a network by its size; see `Family.describe`."""
        application = APPLICATIONS[name]
        settings = "pretrained and width" if application.scalable else "pretrained"
        millions = application.parameters / 1e6
        sizes = f"{millions:.3g} M parameters without the head, {application.gflops:.3g} GFLOPs at 224 px"
        return f"{sizes}; images from {application.smallest} px, takes {settings}"

    @staticmethod
    def load(name: str) -> type[Architecture]:
        """Return a network; see `Family.load`."""
        application = APPLICATIONS[name]
        return _scalable(application) if application.scalable else _fixed(application)


def _fixed(application: Application) -> type[Architecture]:
    class Network(Architecture):
        @staticmethod
        def build(input_shape: tuple[int, int, int], classes: int) -> Any:
            return _build(application, input_shape, classes)

        @staticmethod
        def published(input_shape: tuple[int, int, int]) -> PublishedWeights:
            return application.published(input_shape)

        estimate_flops = staticmethod(application.estimate_flops)

    return Network


def _scalable(application: Application) -> type[Architecture]:
    class Network(Architecture):
        @staticmethod
        def build(input_shape: tuple[int, int, int], classes: int, width: float = 1.0) -> Any:
            return _build(application, input_shape, classes, alpha=width)

        @staticmethod
        def published(input_shape: tuple[int, int, int], width: float = 1.0) -> PublishedWeights:
            return application.published(input_shape, width)

        widths = application.widths
        estimate_flops = staticmethod(application.estimate_flops)

    return Network


def _build(application: Application, input_shape: tuple[int, int, int], classes: int, **settings: Any) -> Any:
    from keras import applications

    model = classifier(
        getattr(applications, application.name),
        application.name,
        input_shape,
        classes,
        pixels=application.pixels,
        smallest=application.smallest,
        pooling="avg",  # ConvNeXt normalizes what was pooled
        **settings,
    )
    set_normalization(model)
    name_by_position(model)
    return model


FAMILY = KerasApplications
