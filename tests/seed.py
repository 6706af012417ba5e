"""The seed of whatever the tests draw: RAMDA_TEST_SEED, which the gate derives from the commit, else 0."""

import os

TEST_SEED = int(os.environ.get("RAMDA_TEST_SEED", "0"))
