"""What runs on a device, out of a bundle: NumPy, a runtime and Python 3.9 are all that it needs."""
