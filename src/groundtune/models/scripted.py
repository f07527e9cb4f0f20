"""The former home of `groundtune.testing.scripted_server`, kept importable."""

from groundtune.testing.scripted_server import *  # noqa: F403
