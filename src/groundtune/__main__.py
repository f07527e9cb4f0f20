"""Run the command `groundtune` for `python -m groundtune`."""

import sys

from groundtune.cli import main

sys.exit(main())
