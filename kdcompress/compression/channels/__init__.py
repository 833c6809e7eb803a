"""Structured pruning: channels that matter little are removed from a Keras model, which becomes smaller and faster."""
