"""The only place that uses tf_keras (Keras 2) and tensorflow-model-optimization, which wraps layers of tf_keras."""
