"""The tests. Their matrices are small: several threads would wait for each other longer than they work."""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # read when numpy and torch are imported, here and in the processes of the tests
