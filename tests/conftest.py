"""Hypothesis profiles: no deadline, because a first call compiles; in CI the same examples every time."""

import os

import hypothesis

hypothesis.settings.register_profile("virel", deadline=None)
hypothesis.settings.register_profile("virel-ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("virel-ci" if os.environ.get("CI") else "virel")
