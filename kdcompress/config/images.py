"""Settings of the conversion of image files to pixels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from kdcompress.config.fractions import Factor
from kdcompress.config.settings import Section, build_section
from kdcompress.errors import RecipeError

Resize = Literal["squash", "crop", "pad"]
Byte = Annotated[int, Field(ge=0, le=255)]
_COLOURS = {"white": (255, 255, 255), "black": (0, 0, 0)}


class ImageSettings(Section):
    """How an image file is converted to pixels.

    Settings at their defaults are not written, so that digests of recipes without them stay the same.

    Attributes:
        background: Colour behind transparent pixels: white, black or [red, green, blue] of 0 to 255. White is what
            viewers and browsers show, and so what people labelled.
        scale: Factor from the stored numbers to pixels of 0 to 255, such as 255 for images of 0 and 1, or "255/4095"
            for 12 bits; by default 1 for 8 bits and 1/257 for 16.
        resize: How an image of another aspect ratio is resized: squash changes the ratio, crop cuts the longer side to
            its centre, pad adds background.
    """

    background: Literal["white", "black"] | tuple[Byte, Byte, Byte] = "white"
    scale: Factor | None = None
    resize: Resize = "squash"

    @property
    def background_colour(self) -> tuple[int, int, int]:
        """Red, green and blue of the background."""
        return _COLOURS[self.background] if isinstance(self.background, str) else self.background

    @property
    def image_settings(self) -> ImageSettings:
        """These settings alone, of a class that has others beside."""
        return ImageSettings(**{key: getattr(self, key) for key in ImageSettings.model_fields})

    @property
    def record(self) -> dict[str, Any]:
        """What a manifest or an exported file records, under the key `images`; empty for the defaults."""
        values = self.image_settings.model_dump(mode="json")
        return {"images": values} if values else {}

    @model_serializer(mode="wrap")
    def _without_defaults(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        defaults = {key: field.default for key, field in ImageSettings.model_fields.items()}
        kept = {key for key in values if key not in defaults or getattr(self, key) != defaults[key]}
        return {key: value for key, value in values.items() if key in kept}


DEFAULT_IMAGE_SETTINGS = ImageSettings()


def read_image_settings(document: Mapping[str, Any], source: str) -> ImageSettings:
    """Read the settings that a run or an exported file records.

    Args:
        document: Untrusted document, whose key `images` holds them; without it they are the defaults.
        source: What contains it, for messages.

    Returns:
        The settings.

    Raises:
        RecipeError: If they are damaged.
    """
    values = document.get("images", {})
    try:
        return build_section(ImageSettings, values, "images")
    except RecipeError as exc:
        raise RecipeError(f"{source}: its settings of images are damaged ({exc})") from exc
