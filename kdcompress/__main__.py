"""`python -m kdcompress`, the same as `kdcompress`: modules in the current folder take no package's place."""

import os
import sys

if sys.path and os.path.realpath(sys.path[0] or ".") == os.path.realpath("."):
    del sys.path[0]  # which `python -m` put there

from kdcompress.cli import main

main()
