"""Import the scripted server under a shorter path: an alias of `groundtune.testing.scripted_server`."""

from groundtune.testing.scripted_server import *  # noqa: F403
