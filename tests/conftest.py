"""What every test shares: one thread, so that parallel workers do not fight, and one seed (tests/seed.py)."""

import os
import sys

import numpy as np
import pytest
import torch
from hypothesis import settings

from ramda_verify.checks.kernels.steps import device_of
from ramda_verify.engine.property import draw_by_seed_alone
from tests.seed import TEST_SEED

# How triton runs here, before a test imports it: on the GPU, or else in its interpreter.
device_of("triton")
draw_by_seed_alone()
torch.set_num_threads(1)
settings.register_profile("tests", deadline=None, database=None, derandomize=TEST_SEED == 0)
settings.load_profile("tests")


def pytest_configure(config: pytest.Config) -> None:
    """Hypothesis draws by the same seed; its plugin reads this option after us. pytest-randomly, where it is installed,
    shuffles by it, too; without a seed of ours it draws the order anew and prints it.
    """
    if TEST_SEED and config.getoption("--hypothesis-seed", None) is None:
        config.option.hypothesis_seed = TEST_SEED
    if TEST_SEED and getattr(config.option, "randomly_seed", None) == "default":
        config.option.randomly_seed = TEST_SEED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Workers that collect by themselves must name the same tests: an object without a name shows its address."""
    unnamed = [item.nodeid for item in items if " at 0x" in item.nodeid]
    if unnamed:
        raise pytest.UsageError(f"{unnamed[0]} is named by an address, another one in each process; give it an id")


def pytest_report_header() -> str:
    return f"RAMDA_TEST_SEED={TEST_SEED}"


@pytest.fixture(autouse=True)
def fixed_seed() -> None:
    torch.manual_seed(TEST_SEED)


@pytest.fixture(autouse=True)
def path_of_imports(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a plug-in adds to the path of imports is gone with its test: the next one may have a file of that name."""
    monkeypatch.setattr(sys, "path", sys.path.copy())


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(TEST_SEED)


@pytest.fixture(scope="session")
def more_examples() -> int:
    """Factor on the number of drawn cases: ``RAMDA_TEST_EXAMPLES=10 pytest`` looks ten times as hard."""
    return int(os.environ.get("RAMDA_TEST_EXAMPLES", "1"))
