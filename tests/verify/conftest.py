"""Files of regularizers, and a folder of one's own for every test."""

from pathlib import Path

import pytest

from tests.verify import samples


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: good.py, bad.py, useless.py, ends.py, vanishes.py and raises.py."""
    for name in ("good", "bad", "useless"):
        (tmp_path / f"{name}.py").write_text(getattr(samples, name.upper()))
    (tmp_path / "ends.py").write_text("import sys\n\nsys.exit(0)\n")
    (tmp_path / "vanishes.py").write_text("import os\n\nos._exit(0)\n")
    (tmp_path / "raises.py").write_text("raise RuntimeError('licence expired')\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path
