"""What is different in a Jupyter kernel: a progress bar, and no output of libraries."""

from kdcompress.notebook._kernel import in_kernel
from kdcompress.notebook._quiet import quiet_libraries
from kdcompress.notebook._verb import for_notebooks

__all__ = ["for_notebooks", "in_kernel", "quiet_libraries"]
