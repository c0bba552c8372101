"""Accuracy of a network and of its integers, side by side."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from flow.accuracy import file_scores, integer_scores, side_by_side
from flow.errors import FlowError
from flow.images import checked_labels

CLASSES = 3


def test_images_whose_class_is_another_are_named():
    network = np.array([[0.1, 0.9, 0.0], [0.8, 0.1, 0.1], [0.2, 0.3, 0.5], [1.0, 0.0, 0.0]])
    integers = np.array([[3, 2, 0], [8, 1, 1], [2, 3, 5], [1, 0, 2]])
    found = side_by_side(network, integers, np.array([1, 0, 2, 2]))
    assert (found["images"], found["network"]["top1"], found["integers"]["top1"]) == (4, 75.0, 75.0)
    assert found["other_class"] == [
        {"image": 0, "network": 1, "integers": 0, "label": 1},
        {"image": 3, "network": 0, "integers": 2, "label": 2},
    ]


@pytest.fixture
def ends_with(monkeypatch):
    """Return a model whose outputs become ``steps``."""

    def model(*steps):
        monkeypatch.setattr("flow.accuracy.score_steps", lambda _: list(steps))
        monkeypatch.setattr("flow.accuracy._outputs", lambda _: CLASSES)
        return

    return model


def arg_max_file(path):
    """Write a file that gives the largest of three channels' means as an index."""
    graph = helper.make_graph(
        [
            helper.make_node("GlobalAveragePool", ["x"], ["means"]),
            helper.make_node("Flatten", ["means"], ["row"]),
            helper.make_node("ArgMax", ["row"], ["class"], axis=1, keepdims=1),
        ],
        "ends",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, CLASSES, 4, 4])],
        [helper.make_tensor_value_info("class", TensorProto.INT64, [1, 1])],
    )
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)]).SerializeToString())
    return path


def test_indices_of_a_file_are_its_classes(tmp_path, ends_with):
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, CLASSES), np.uint8)
    model = ends_with({"kind": "ArgMax", "axis": 1, "keep": 1})
    found = file_scores(model, arg_max_file(tmp_path / "ends.onnx"), images, (0.0, 255.0))
    assert found.shape == (8, CLASSES)
    assert list(found.argmax(axis=1)) == list(images.mean(axis=(1, 2)).argmax(axis=1))


def test_values_without_indices_are_no_classes(tmp_path, ends_with):
    images = np.zeros((2, 4, 4, CLASSES), np.uint8)
    model = ends_with({"kind": "TopK", "axis": 1, "largest": 1, "count": 2, "output": "values"})
    with pytest.raises(FlowError, match="gives its largest values, not which classes have them"):
        file_scores(model, arg_max_file(tmp_path / "ends.onnx"), images, (0.0, 255.0))


def test_a_label_that_is_no_class_is_refused(ends_with):
    with pytest.raises(FlowError, match="labels.npy has class 3, and the network 3 classes"):
        integer_scores(ends_with(), np.zeros((2, CLASSES)), np.array([0, 3]), "labels.npy")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.array([0.0, 1.0]), r"mine holds float64 \[2\]: give integers \[2\]"),
        (np.array([0, 1, 2]), r"mine holds int64 \[3\]: give integers \[2\]"),
        (np.array([0, -1]), "mine has labels from -1 to 0: give classes from 0 on"),
    ],
)
def test_labels_are_classes_one_an_image(labels, message):
    with pytest.raises(FlowError, match=message):
        checked_labels(labels, 2, "mine")
