"""What is a regression, and what is not; what a report has to be."""

import json
import math

import pytest

from experiments.bench.compare import compare, warnings_about
from experiments.bench.document import REQUIRED, DocumentError, read_document, write_document
from tests.bench.samples import MACHINE, document, row

LARGER = {"better": "larger", "goal": "at least 30", "measure": "reference RAMDA step / ours"}


def regression(old, new):
    (change,) = compare(document(old), document(new))
    return change.regression


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (row(1.0), row(1.5), True),
        (row(1.5), row(1.0), False),
        (row(1.0), row(1.0), False),
        (row(1.0, 0.999, 1.001), row(1.08, 1.079, 1.081), False),  # apart, but by less than a tenth
        (row(1.0, 0.5, 1.6), row(1.5, 1.4, 1.6), False),  # by half, but within the spread
        (row(100.0, **LARGER), row(50.0, **LARGER), True),
        (row(50.0, **LARGER), row(100.0, **LARGER), False),
        (row(1e-7), row(math.nan), True),
        (row(0.0), row(1.0), True),
        (row(1.0), row(0.0), False),
        (row(1.0, **LARGER), row(0.0, **LARGER), True),
    ],
)
def test_regressions(old, new, expected):
    assert regression(old, new) is expected


def test_change_is_relative_to_the_old_ratio():
    (change,) = compare(document(row(2.0)), document(row(3.0)))
    assert change.change == pytest.approx(0.5)
    assert change.worse == pytest.approx(0.5)


def test_only_rows_of_both_are_compared():
    old, new = document(row(), row(threads=2)), document(row(), row(case="mlp"), row(device="cuda"))
    assert [change.new.key for change in compare(old, new)] == [row().key]
    words = " ".join(warnings_about(old, new))
    assert "1 rows are in the old report only" in words
    assert "2 rows are in the new report only" in words


def test_warnings():
    assert warnings_about(document(row()), document(row())) == []
    (words,) = warnings_about(document(row()), document(row(), machine={**MACHINE, "processors": 8}))
    assert "machines differ: processors 2 / 8" in words
    assert "quick" in " ".join(warnings_about(document(row()), document(row(), quick=True)))


def test_a_report_is_what_was_written(tmp_path):
    written = document(row(), row(math.inf, 1.0, math.inf, threads=2, detail={"rounds": 3}))
    path = write_document(tmp_path / "new", written)
    content = json.loads(path.read_text())
    assert content["schema"] == 1
    assert {"schema", "machine", "versions", "rows"} <= content.keys()
    assert all(set(REQUIRED) <= entry.keys() for entry in content["rows"])
    assert read_document(path) == written


def test_rows_need_only_the_documented_keys(tmp_path):
    path = tmp_path / "bench.json"
    bare = {key: value for key, value in row(2.0, **LARGER).as_dict().items() if key in REQUIRED}
    path.write_text(json.dumps({"schema": 1, "machine": {}, "versions": {}, "rows": [bare]}))
    (read,) = read_document(path).rows
    assert (read.ratio, read.better) == (2.0, "larger")


@pytest.mark.parametrize(
    ("content", "word"),
    [
        ("no json", "old.json"),
        ('{"schema": 1, "machine"', "old.json"),
        ("[]", "schema None"),
        ('{"schema": 2, "machine": {}, "rows": []}', "schema 2"),
        ('{"schema": true, "machine": {}, "rows": []}', "schema True"),
        ('{"machine": {}, "rows": []}', "schema None"),
        ('{"schema": 1}', "`machine`"),
        ('{"schema": 1, "machine": {}, "rows": 3}', r"array.*`\$\.rows`"),
        ('{"schema": 1, "machine": {}, "rows": [{"case": "mlp"}]}', r"`measure`.*rows\[0\]"),
        ('{"schema": 1, "machine": {}, "rows": [], "row": []}', "`row`"),
    ],
)
def test_what_is_no_report(tmp_path, content, word):
    path = tmp_path / "old.json"
    path.write_text(content)
    with pytest.raises(DocumentError, match=word):
        read_document(path)


def test_a_ratio_that_is_no_number(tmp_path):
    path = tmp_path / "old.json"
    path.write_text(json.dumps({"schema": 1, "machine": {}, "rows": [{**row().as_dict(), "ratio": "fast"}]}))
    with pytest.raises(DocumentError, match=r"old\.json.*'fast'.*rows\[0\]\.ratio.*'inf'.*'nan'"):
        read_document(path)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(DocumentError, match="cannot be read"):
        read_document(tmp_path / "none.json")
