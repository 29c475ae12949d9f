"""`python -m gohttp`: the same as the command `gohttp`."""

import sys

from gohttp.cli import main

if __name__ == "__main__":
    sys.exit(main())
