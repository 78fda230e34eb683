"""`python -m icl_theory` is the command `icl-theory`."""

import sys

from icl_theory.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
