"""The device's end of `kdcompress bench --on`, which is sent there as text; Python 3.6 must be able to read it."""
