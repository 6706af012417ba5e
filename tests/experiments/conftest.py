"""Every test of the experiments has its own cache of optima and no data folder of the user's."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("optima")


@pytest.fixture(autouse=True)
def isolated_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, shared_cache: Path) -> None:
    monkeypatch.setenv("RAMDA_CACHE", str(shared_cache))
    monkeypatch.setenv("RAMDA_DATA", str(tmp_path / "no-data-here"))
    monkeypatch.chdir(tmp_path)
