"""The networks of keras.applications: their preprocessing, sizes and published ImageNet weights."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from kdcompress.errors import ModelError
from kdcompress.models._published import KERAS, PublishedWeights


class Pixels(Enum):
    """The pixels that a network expects, made of raw ones, 0 to 255."""

    INSIDE = "raw: the network has its preprocessing inside"
    SIGNED = "-1 to 1"
    STANDARDIZED = "minus ImageNet's mean, over its standard deviation"
    BGR = "BGR minus ImageNet's mean"


@dataclass(frozen=True)
class Application:
    """A network of keras.applications.

    Attributes:
        name: Name of the function in keras.applications.
        pixels: Preprocessing of the published weights.
        parameters: Number of parameters without the head, at width 1.
        weights: URL of the published weights without the head, relative to KERAS; with places for the width and
            the size of images where there is a file for each.
        digest: MD5 or SHA-256 of that file; None if Keras records none.
        smallest: Smallest side of images, in pixels.
        file: Name in Keras's cache, if it is not the last part of the address.
        scalable: Whether it has a width multiplier.
    """

    name: str
    pixels: Pixels
    parameters: int
    weights: str
    digest: str | None
    smallest: int = 32
    file: str | None = None
    scalable: bool = False

    def published(self, input_shape: tuple[int, int, int], width: float = 1.0) -> PublishedWeights:
        """Return the ImageNet weights that Keras publishes.

        Args:
            input_shape: (H, W, 3).
            width: Multiplier of the filters.

        Returns:
            The weights file, without the head.

        Raises:
            ModelError: If there are no weights for this width.
        """
        base = "" if self.weights.startswith("https://") else f"{KERAS}/"
        if not self.scalable:
            return PublishedWeights(f"{base}{self.weights}", self.digest, self.file)
        files = _WIDTHS[self.name]
        if width not in files:
            raise ModelError(
                f"ImageNet weights of keras:{self.name} exist for the widths {', '.join(map(str, files))}, "
                f'got {width:g}; take one of them, or pretrained = "none"'
            )
        text, digest = files[width]
        height, across, _ = input_shape
        size = height if height == across and height in _SIZES.get(self.name, ()) else 224
        return PublishedWeights(f"{base}{self.weights.format(width=text, size=size)}", digest)


# Of networks with a width multiplier: how file names spell widths, and the digest of the files
_WIDTHS: dict[str, dict[float, tuple[str, str | None]]] = {
    "MobileNet": {0.25: ("2_5", None), 0.5: ("5_0", None), 0.75: ("7_5", None), 1.0: ("1_0", None)},
    "MobileNetV2": {width: (str(width), None) for width in (0.35, 0.5, 0.75, 1.0, 1.3, 1.4)},
    "MobileNetV3Large": {
        0.75: ("0.75", "40af19a13ebea4e2ee0c676887f69a2e"),
        1.0: ("1.0", "07fb09a5933dd0c8eaafa16978110389"),
    },
    "MobileNetV3Small": {
        0.75: ("0.75", "ebdb5cc8e0b497cd13a7c275d475c819"),
        1.0: ("1.0", "d3e8ec802a04aa4fc771ee12a9a9b836"),
    },
}
# Sides of images with published weights of their own; those for 224 serve all others
_SIZES = {"MobileNet": (128, 160, 192, 224), "MobileNetV2": (96, 128, 160, 192, 224)}

APPLICATIONS = {
    application.name: application
    for application in (
        Application(
            "ConvNeXtBase",
            Pixels.INSIDE,
            87_566_464,
            "convnext/convnext_base_notop.h5",
            "40a20c5548a5e9202f69735ecc06c990e6b7c9d2de39f0361e27baeb24cb7c45",
        ),
        Application(
            "ConvNeXtLarge",
            Pixels.INSIDE,
            196_230_336,
            "convnext/convnext_large_notop.h5",
            "96f02b6f0753d4f543261bc9d09bed650f24dd6bc02ddde3066135b63d23a1cd",
        ),
        Application(
            "ConvNeXtSmall",
            Pixels.INSIDE,
            49_454_688,
            "convnext/convnext_small_notop.h5",
            "6fc8009faa2f00c1c1dfce59feea9b0745eb260a7dd11bee65c8e20843da6eab",
        ),
        Application(
            "ConvNeXtTiny",
            Pixels.INSIDE,
            27_820_128,
            "convnext/convnext_tiny_notop.h5",
            "d547c096cabd03329d7be5562c5e14798aa39ed24b474157cef5e85ab9e49ef1",
        ),
        Application(
            "ConvNeXtXLarge",
            Pixels.INSIDE,
            348_147_968,
            "convnext/convnext_xlarge_notop.h5",
            "de3f8a54174130e0cecdc71583354753d557fcf1f4487331558e2a16ba0cfe05",
        ),
        Application(
            "DenseNet121",
            Pixels.STANDARDIZED,
            7_037_504,
            "densenet/densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "30ee3e1110167f948a6b9946edeeb738",
        ),
        Application(
            "DenseNet169",
            Pixels.STANDARDIZED,
            12_642_880,
            "densenet/densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "b8c4d4c20dd625c148057b9ff1c1176b",
        ),
        Application(
            "DenseNet201",
            Pixels.STANDARDIZED,
            18_321_984,
            "densenet/densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "c13680b51ded0fb44dff2d8f86ac8bb1",
        ),
        Application(
            "EfficientNetB0",
            Pixels.INSIDE,
            4_049_571,
            "https://storage.googleapis.com/keras-applications/efficientnetb0_notop.h5",
            "50bc09e76180e00e4465e1a485ddc09d",
        ),
        Application(
            "EfficientNetB1",
            Pixels.INSIDE,
            6_575_239,
            "https://storage.googleapis.com/keras-applications/efficientnetb1_notop.h5",
            "74c4e6b3e1f6a1eea24c589628592432",
        ),
        Application(
            "EfficientNetB2",
            Pixels.INSIDE,
            7_768_569,
            "https://storage.googleapis.com/keras-applications/efficientnetb2_notop.h5",
            "111f8e2ac8aa800a7a99e3239f7bfb39",
        ),
        Application(
            "EfficientNetB3",
            Pixels.INSIDE,
            10_783_535,
            "https://storage.googleapis.com/keras-applications/efficientnetb3_notop.h5",
            "af6d107764bb5b1abb91932881670226",
        ),
        Application(
            "EfficientNetB4",
            Pixels.INSIDE,
            17_673_823,
            "https://storage.googleapis.com/keras-applications/efficientnetb4_notop.h5",
            "ebc24e6d6c33eaebbd558eafbeedf1ba",
        ),
        Application(
            "EfficientNetB5",
            Pixels.INSIDE,
            28_513_527,
            "https://storage.googleapis.com/keras-applications/efficientnetb5_notop.h5",
            "38879255a25d3c92d5e44e04ae6cec6f",
        ),
        Application(
            "EfficientNetB6",
            Pixels.INSIDE,
            40_960_143,
            "https://storage.googleapis.com/keras-applications/efficientnetb6_notop.h5",
            "9ecce42647a20130c1f39a5d4cb75743",
        ),
        Application(
            "EfficientNetB7",
            Pixels.INSIDE,
            64_097_687,
            "https://storage.googleapis.com/keras-applications/efficientnetb7_notop.h5",
            "cbcfe4450ddf6f3ad90b1b398090fe4a",
        ),
        Application(
            "EfficientNetV2B0",
            Pixels.INSIDE,
            5_919_312,
            "efficientnet_v2/efficientnetv2-b0_notop.h5",
            "893217f2bb855e2983157299931e43ff",
        ),
        Application(
            "EfficientNetV2B1",
            Pixels.INSIDE,
            6_931_124,
            "efficientnet_v2/efficientnetv2-b1_notop.h5",
            "0e80663031ca32d657f9caa404b6ec37",
        ),
        Application(
            "EfficientNetV2B2",
            Pixels.INSIDE,
            8_769_374,
            "efficientnet_v2/efficientnetv2-b2_notop.h5",
            "1dfe2e7a5d45b6632553a8961ea609eb",
        ),
        Application(
            "EfficientNetV2B3",
            Pixels.INSIDE,
            12_930_622,
            "efficientnet_v2/efficientnetv2-b3_notop.h5",
            "f6abf7b5849ac99a89b50dd3fd532856",
        ),
        Application(
            "EfficientNetV2L",
            Pixels.INSIDE,
            117_746_848,
            "efficientnet_v2/efficientnetv2-l_notop.h5",
            "b0b66b5c863aef5b46e8608fe1711615",
        ),
        Application(
            "EfficientNetV2M",
            Pixels.INSIDE,
            53_150_388,
            "efficientnet_v2/efficientnetv2-m_notop.h5",
            "1b8dc055df72dde80d614482840fe342",
        ),
        Application(
            "EfficientNetV2S",
            Pixels.INSIDE,
            20_331_360,
            "efficientnet_v2/efficientnetv2-s_notop.h5",
            "af0682fb74e8c54910f2d4393339c070",
        ),
        Application(
            "InceptionResNetV2",
            Pixels.SIGNED,
            54_336_736,
            "inception_resnet_v2/inception_resnet_v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "d19885ff4a710c122648d3b5c3b684e4",
            smallest=75,
        ),
        Application(
            "InceptionV3",
            Pixels.SIGNED,
            21_802_784,
            "inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "bcbd6486424b2319ff4ef7d526e38f63",
            smallest=75,
        ),
        Application(
            "MobileNet",
            Pixels.SIGNED,
            3_228_864,
            "mobilenet/mobilenet_{width}_{size}_tf_no_top.h5",
            None,
            scalable=True,
        ),
        Application(
            "MobileNetV2",
            Pixels.SIGNED,
            2_257_984,
            "mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_{width}_{size}_no_top.h5",
            None,
            scalable=True,
        ),
        Application(
            "MobileNetV3Large",
            Pixels.INSIDE,
            2_996_352,
            "mobilenet_v3/weights_mobilenet_v3_large_{size}_{width}_float_no_top_v2.h5",
            None,
            scalable=True,
        ),
        Application(
            "MobileNetV3Small",
            Pixels.INSIDE,
            939_120,
            "mobilenet_v3/weights_mobilenet_v3_small_{size}_{width}_float_no_top_v2.h5",
            None,
            scalable=True,
        ),
        Application(
            "NASNetLarge",
            Pixels.SIGNED,
            84_916_818,
            "nasnet/NASNet-large-no-top.h5",
            "d81d89dc07e6e56530c4e77faddd61b5",
            file="nasnet_large_no_top.h5",
        ),
        Application(
            "NASNetMobile",
            Pixels.SIGNED,
            4_269_716,
            "nasnet/NASNet-mobile-no-top.h5",
            "1ed92395b5b598bdda52abe5c0dbfd63",
            file="nasnet_mobile_no_top.h5",
        ),
        Application(
            "ResNet101",
            Pixels.BGR,
            42_658_176,
            "resnet/resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "88cf7a10940856eca736dc7b7e228a21",
        ),
        Application(
            "ResNet101V2",
            Pixels.SIGNED,
            42_626_560,
            "resnet/resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "c0ed64b8031c3730f411d2eb4eea35b5",
        ),
        Application(
            "ResNet152",
            Pixels.BGR,
            58_370_944,
            "resnet/resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "ee4c566cf9a93f14d82f913c2dc6dd0c",
        ),
        Application(
            "ResNet152V2",
            Pixels.SIGNED,
            58_331_648,
            "resnet/resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "ed17cf2e0169df9d443503ef94b23b33",
        ),
        Application(
            "ResNet50",
            Pixels.BGR,
            23_587_712,
            "resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "4d473c1dd8becc155b73f8504c6f6626",
        ),
        Application(
            "ResNet50V2",
            Pixels.SIGNED,
            23_564_800,
            "resnet/resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "fac2f116257151a9d068a22e544a4917",
        ),
        Application(
            "VGG16",
            Pixels.BGR,
            14_714_688,
            "vgg16/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "6d6bbae143d832006294945121d1f1fc",
        ),
        Application(
            "VGG19",
            Pixels.BGR,
            20_024_384,
            "vgg19/vgg19_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "253f8cb515780f3b799900260a226db6",
        ),
        Application(
            "Xception",
            Pixels.SIGNED,
            20_861_480,
            "xception/xception_weights_tf_dim_ordering_tf_kernels_notop.h5",
            "b0042744bf5b25fce3cb969f33bebb97",
            smallest=71,
        ),
    )
}
