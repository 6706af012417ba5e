"""Files written whole or not at all, and folders that cannot take them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ramda_verify.output.writing import why_unwritable, write_whole


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("content", ["größer\n", "größer\n".encode(), lambda file: file.write("größer\n".encode())])
def test_content_of_every_kind(content, tmp_path):
    assert write_whole(tmp_path / "a.txt", content).read_text(encoding="utf-8") == "größer\n"
    assert names(tmp_path) == ["a.txt"]
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o644


def test_what_fails_leaves_the_old_file_and_no_other(tmp_path):
    def fails(file):
        file.write(b"half")
        raise OSError(28, "No space left on device")

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "a.txt", fails)
    assert (tmp_path / "a.txt").read_text() == "old"
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"):
        write_whole(tmp_path / "folder", "text")
    assert names(tmp_path) == ["a.txt", "folder"]


def test_folders(tmp_path):
    assert why_unwritable(tmp_path / "new" / "inner", ("a.json",)) is None
    assert names(tmp_path / "new" / "inner") == []
    (tmp_path / "a.json").touch()
    assert why_unwritable(tmp_path, ("a.json",)) is None
    assert why_unwritable(tmp_path / "a.json") is not None
    assert why_unwritable(tmp_path / "a.json" / "inner") is not None
    (tmp_path / "b.html").mkdir()
    reason = why_unwritable(tmp_path, ("a.json", "b.html"))
    assert reason is not None
    assert "b.html" in reason
    assert names(tmp_path) == ["a.json", "b.html", "new"]


@pytest.mark.skipif(os.name != "posix", reason="only POSIX limits the size of files")
@pytest.mark.parametrize(
    "arguments", [["check", "good.py:Ridge", "--only", "contract"], ["run", "--only", "convex-claim"]]
)
def test_a_full_disk_is_one_line_after_the_verdict(folder, arguments):
    """A limit of 100 bytes a file: every write beyond fails, as on a full disk."""
    program = (
        "import resource, signal, sys\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "from ramda_verify.engine import runner\n"
        "run = runner.run_jobs\n"
        "def limited(*given, **options):\n"
        "    yield from run(*given, **options)\n"
        "    resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
        "runner.run_jobs = limited\n"
        f"sys.argv[1:] = {[*arguments, '--quick', '--jobs', '1', '--report', 'kept']!r}\n"
        "from ramda_verify.cli import main\n"
        "if __name__ == '__main__':\n    main()\n"
    )
    (folder / "program.py").write_text(program)
    command = [sys.executable, "-B", "program.py"]
    found = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
    assert found.returncode == 2, found.stderr
    assert "no fault found" in found.stdout or "pass" in found.stdout
    assert "--report kept could not be written" in found.stderr.splitlines()[-1]
    assert "Traceback" not in found.stderr
    assert names(folder / "kept") == []
