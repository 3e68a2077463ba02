"""`python -m jaxcalc`: the command line."""

import sys

from jaxcalc.cli import main

if __name__ == "__main__":
    sys.exit(main())
