"""`python -m kdcompress`, the same as the command `kdcompress`."""

from kdcompress.cli import main

main()
