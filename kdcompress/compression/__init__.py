"""Compression of a trained student: channels that go, zeros, clusters, and quantization-aware training."""
