"""Data sets: what comes out, and what is said where a file is absent or wrong."""

import numpy as np
import pytest

from experiments.data import Dataset, load_digits, load_mnist
from experiments.data.mnist import ARRAYS


def write_mnist(folder, **changes):
    arrays = {name: np.zeros(shape, dtype=np.uint8) for name, shape in ARRAYS.items()} | changes
    folder.mkdir(exist_ok=True)
    np.savez(folder / "mnist.npz", **{name: array for name, array in arrays.items() if array is not None})


def test_digits():
    data = load_digits()
    assert data.train_features.shape == (1437, 64)
    assert data.test_features.shape == (360, 64)
    assert data.train_features.min() == 0
    assert data.train_features.max() == 1
    assert np.array_equal(data.train_features, load_digits().train_features), "the split must be fixed"


def test_mnist_is_normalised(tmp_path):
    images = np.zeros(ARRAYS["train_images"], dtype=np.uint8)
    images[0, 0, 1] = 255
    write_mnist(tmp_path / "data", train_images=images)
    data = load_mnist(tmp_path / "data")
    assert data.train_features.dtype == np.float32
    assert data.train_features.shape == (60000, 784)
    assert data.train_features[0, 1] == pytest.approx((1 - 0.1307) / 0.3081)
    assert data.train_features[0, 0] == pytest.approx(-0.1307 / 0.3081)


def test_mnist_is_found_by_the_environment(tmp_path, monkeypatch):
    write_mnist(tmp_path / "elsewhere")
    monkeypatch.setenv("RAMDA_DATA", str(tmp_path / "elsewhere"))
    assert load_mnist().name == "mnist"


def test_absent_file_is_named_with_its_contents(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        load_mnist(tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path / "mnist.npz"), "train_images (60000, 28, 28)", "test_labels (10000,)", "--data-dir"):
        assert part in message


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_images": None}, "train_images .* no such array"),
        ({"test_labels": np.zeros(5, dtype=np.uint8)}, r"test_labels .* \(5,\)"),
        ({"train_labels": np.zeros(60000, dtype=np.int64)}, "train_labels .* int64"),
        ({"train_labels": np.full(60000, 11, dtype=np.uint8)}, "train_labels"),
    ],
)
def test_wrong_contents(tmp_path, changes, message):
    write_mnist(tmp_path / "data", **changes)
    with pytest.raises(ValueError, match=message):
        load_mnist(tmp_path / "data")


def test_not_an_archive(tmp_path):
    (tmp_path / "mnist.npz").write_bytes(b"PK\x03\x04 this is no archive")
    with pytest.raises(ValueError, match="cannot be read"):
        load_mnist(tmp_path)


def test_dataset_refuses_arrays_that_do_not_fit():
    x, y = np.zeros((4, 2), dtype=np.float32), np.zeros(4, dtype=np.int64)
    with pytest.raises(ValueError, match="test_labels"):
        Dataset("toy", 2, x, y, x, y[:3])
    with pytest.raises(ValueError, match="train_features"):
        Dataset("toy", 2, x.astype(np.float64), y, x, y)
