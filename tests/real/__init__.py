"""Tests against real model servers, which serve a real model: `make test-real` installs what they need."""
