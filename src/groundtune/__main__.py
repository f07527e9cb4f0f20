"""`python -m groundtune` is the command `groundtune`."""

import sys

from groundtune.cli import main

sys.exit(main())
