"""NegativeLogLikelihoodLoss and SoftmaxCrossEntropyLoss against onnx's own evaluator."""
import numpy as np
import pytest
from test_functions import refused
from test_indexing import check, floats, ints

SHAPES = [(3, 5), (3, 5, 4), (2, 3, 1, 2), (1, 2, 3, 2, 2)]


def feed(shape, weighted, kind=np.float32):
    labels = ints(0, shape[1], shape[0], *shape[2:])
    result = {"x": floats(*shape).astype(kind), "labels": np.asarray(labels, np.int64)}
    if weighted:
        result["weights"] = np.abs(floats(shape[1])).astype(kind) + kind(0.1)
    return result


@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [None, 1, -100])
def test_losses(tmp_path, op, reduction, weighted, ignore):
    for shape in SHAPES:
        inputs = feed(shape, weighted)
        attributes = {"reduction": reduction}
        if ignore is not None:
            inputs["labels"].flat[0] = ignore
            attributes["ignore_index"] = ignore
        check(tmp_path, op, [inputs], opset=13, **attributes)


@pytest.mark.parametrize("op", ["NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"])
def test_losses_of_varying_sizes(tmp_path, op):
    check(tmp_path, op, [feed(shape, True) for shape in [(3, 5, 4), (1, 2, 7), (4, 1, 1)]], opset=13)


def test_labels_of_i32_and_f64(tmp_path):
    inputs = feed((3, 5, 2), True, np.float64)
    inputs["labels"] = inputs["labels"].astype(np.int32)
    check(tmp_path, "SoftmaxCrossEntropyLoss", [inputs], opset=13)


def test_logarithms_of_probabilities(tmp_path):
    check(tmp_path, "SoftmaxCrossEntropyLoss", [feed((3, 5, 2), True)], opset=13, outputs=2, ignore_index=0)


def test_what_is_ignored_does_not_count(tmp_path):
    """An infinite score of an ignored sample makes no NaN."""
    x, labels = np.float32([[-np.inf, -1], [-2, -3]]), np.int64([-1, 1])
    check(tmp_path, "NegativeLogLikelihoodLoss", [{"x": x, "labels": labels}], opset=13, wanted=lambda **_: [np.float32(3)],
          ignore_index=-1)


def test_labels_out_of_range_fail(tmp_path):
    import tenon as package
    from conftest import compile_model
    from test_indexing import save
    inputs = {"x": floats(2, 3), "labels": np.int64([0, 3])}
    model = save(tmp_path / "model.onnx", "NegativeLogLikelihoodLoss", inputs, {}, 13)
    session = package.Session(compile_model(model, tmp_path / "model.so"))
    with pytest.raises(package.Error, match="index 3"):
        session.run(inputs)


def test_losses_are_refused(tmp_path):
    op = "NegativeLogLikelihoodLoss"
    labels = np.zeros(2, np.int64)
    assert "reduction must be none, mean or sum, but is most" in refused(
        tmp_path, op, {"x": floats(2, 3), "labels": labels}, opset=13, reduction="most")
    needs = "needs scores of batch, classes and more, and labels without the classes, but has "
    assert needs + "'tensor<2x3x4xf32>' and 'tensor<2xi64>'" in refused(
        tmp_path, op, {"x": floats(2, 3, 4), "labels": labels}, opset=13)
    assert "needs a weight for each class, but has 'tensor<3x1xf32>'" in refused(
        tmp_path, op, {"x": floats(2, 3), "labels": labels, "weights": floats(3, 1)}, opset=13)
    assert "needs scores of batch and classes, but has 'tensor<2xf32>'" in refused(
        tmp_path, "SoftmaxCrossEntropyLoss", {"x": floats(2), "labels": labels}, opset=13)
