"""What is refused, or fails parity: by model and format, the words that name the layer or operator.

A model that begins to pass has to go from here.
"""

from __future__ import annotations

_SCALED = [
    *(f"UpSampling2D lanczos{radius}" for radius in (3, 5)),
    *(f"Resizing lanczos{radius} {size}" for radius in (3, 5) for size in ("11x13", "27x43")),
    "ops resize antialias",
]
_BICUBIC = ["UpSampling2D bicubic", "Resizing bicubic 11x13", "Resizing bicubic 27x43"]
RECURRENT = ("LSTM", "GRU", "SimpleRNN", "Bidirectional", "ConvLSTM1D", "ConvLSTM2D")

# Operators that a format lacks: in ONNX by tf2onnx, in TFLite among its built-in operators
_ONNX = {
    "Discretization": "Bucketize",
    "Discretization one_hot": "Bucketize",
    **dict.fromkeys(_SCALED, "ScaleAndTranslate"),
    **dict.fromkeys(RECURRENT, "TensorListReserve"),
    "ops argmax": "Bitcast",
    "ops cross": "BroadcastArgs",
    "ops cumprod": "Cumprod",
    "ops erfinv": "Erfinv",
    "ops fft2": "Complex",
    "ops rgb_to_hsv": "RGBToHSV",
    "ops hsv_to_rgb": "HSVToRGB",
    "ops scatter": "XlaDynamicUpdateSlice",
    "ops affine_transform": "ImageProjectiveTransformV3",
}
_TFLITE = {
    "Conv2DTranspose dilated": "Conv2DBackpropInput",
    "MaxPooling3D": "MaxPool3D",
    "AveragePooling3D": "AvgPool3D",
    **dict.fromkeys(_BICUBIC, "ResizeBicubic"),
    **dict.fromkeys(_SCALED, "ScaleAndTranslate"),
    "ops argmax": "BitwiseAnd",
    "ops cross": "Cross",
    "ops cumprod": "Cumprod",
    "ops diagonal": "MatrixDiagPartV3",
    "ops erf": "Erf",
    "ops erfinv": "Erfinv",
    "ops fft2": "Complex",
    "ops rgb_to_hsv": "RGBToHSV",
    "ops hsv_to_rgb": "HSVToRGB",
    "ops roll": "Roll",
    "ops sin": "Tan",
    "ops sinh": "Asinh",
    "ops affine_transform": "ImageProjectiveTransformV3",
}
_FORMATS = ("onnx", "tflite", "saved-model")

REFUSALS: dict[tuple[str, str], str] = {
    **{(name, "onnx"): f"ONNX cannot express operator {operator} of layer subject" for name, operator in _ONNX.items()},
    **{
        (name, "tflite"): f"TFLite cannot express operator {operator} of layer subject"
        for name, operator in _TFLITE.items()
    },
    # The converter does not say which operator
    **{
        (name, "tflite"): "TFLite cannot express layer subject"
        for name in (*RECURRENT, "ops fori_loop", "ops while_loop", "quantized to int8")
    },
    # Operations of a functional model, outside of layers, are named by their nodes
    ("operations median", "tflite"): "TFLite cannot express operator Sub of float64 (functional",
    ("operations erf", "tflite"): "TFLite cannot express operator Erf (functional",
    **{
        (name, "onnx"): "operator ResizeBicubic of layer subject with other weights than TensorFlow"
        for name in _BICUBIC
    },
    **{
        (name, format_name): words
        for format_name in _FORMATS
        for name, words in {
            "outputs that depend on the batch": "if an image is alone in its batch",
            "logits that are rounding errors": "they are little else than rounding errors",
            "output of another shape than inferred": "Input 0 with name 'None' of layer 'logits' is incompatible",
        }.items()
    },
}
