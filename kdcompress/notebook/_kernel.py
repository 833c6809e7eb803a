"""Whether this process is a Jupyter kernel."""

from __future__ import annotations

import sys


def in_kernel() -> bool:
    """Whether code runs in a Jupyter kernel, whose front end shows HTML; IPython in a terminal is none."""
    ipython = sys.modules.get("IPython")  # a kernel has imported it
    shell = ipython.get_ipython() if ipython is not None and hasattr(ipython, "get_ipython") else None
    return getattr(shell, "kernel", None) is not None
