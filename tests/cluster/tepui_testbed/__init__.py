"""A real Kubernetes for the tests: built, started, filled with images and ended. `python -m tepui_testbed --help`."""
