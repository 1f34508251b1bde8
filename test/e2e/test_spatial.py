"""Resize, Einsum and the operators that move elements between spatial dimensions, against onnxruntime or onnx's own
evaluator."""
import numpy as np
import onnx
import pytest
from conftest import reference
from test_indexing import check, floats


def check_against_ort(folder, op, feeds, constants={}, opset=19, **options):
    def wanted(**feed):
        model = onnx.load(folder / "model.onnx")
        kind = onnx.helper.np_dtype_to_tensor_dtype(next(iter(feed.values())).dtype)
        model.graph.output[0].type.tensor_type.elem_type = kind
        onnx.save(model, folder / "typed.onnx")
        return reference(folder / "typed.onnx", feed)
    check(folder, op, feeds, constants, opset, wanted=wanted, **options)


def check_resize(folder, feeds, constants, coordinates, **options):
    """Corners are aligned as ONNX says, not as onnxruntime, which takes the result's size after it is rounded."""
    compare = check if coordinates == "align_corners" else check_against_ort
    compare(folder, "Resize", feeds, constants, opset=19, coordinate_transformation_mode=coordinates, **options)


@pytest.mark.parametrize("mode", ["DCR", "CRD"])
def test_depth_to_space(tmp_path, mode):
    check(tmp_path, "DepthToSpace", [{"x": floats(*s)} for s in ((1, 8, 2, 3), (2, 12, 1, 5), (0, 4, 2, 2))],
          mode=mode, blocksize=2)


def test_space_to_depth(tmp_path):
    check(tmp_path, "SpaceToDepth", [{"x": floats(*s)} for s in ((1, 2, 4, 6), (2, 1, 2, 2))], blocksize=2)


@pytest.mark.parametrize("shape", [(4, 9), (7, 3), (5, 6), (0, 2)])
def test_center_crop_pad(tmp_path, shape):
    check(tmp_path, "CenterCropPad", [{"x": floats(2, 5, 6)}, {"x": floats(1, 8, 3)}], {"shape": np.int64(shape)},
          opset=18, axes=[1, 2])


def test_col2im(tmp_path):
    check(tmp_path, "Col2Im", [{"x": floats(2, 12, 20)}], {"image": np.int64([5, 6]), "block": np.int64([2, 2])},
          opset=18)
    check(tmp_path, "Col2Im", [{"x": floats(1, 9, 12)}], {"image": np.int64([5, 7]), "block": np.int64([3, 3])},
          opset=18, strides=[2, 2], pads=[1, 1, 1, 1])


EQUATIONS = {
    "ij,jk->ik": [(3, 4), (4, 5)], "bij,bjk->bik": [(2, 3, 4), (2, 4, 5)], "bhid,bhjd->bhij": [(2, 3, 4, 5), (2, 3, 6, 5)],
    "ij->ji": [(3, 4)], "ij->": [(3, 4)], "ii->i": [(4, 4)], "ii": [(4, 4)], "bii->bi": [(2, 3, 3)], "i,j->ij": [(3,), (4,)],
    "i,i": [(5,), (5,)], "ij,ij->ij": [(3, 4), (3, 4)], "...ij,...jk->...ik": [(2, 3, 4, 5), (3, 5, 2)],
    "...ij->...ji": [(2, 3, 4)], "b...,b->b...": [(2, 3, 4), (2,)], "ab,bc,cd->ad": [(2, 3), (3, 4), (4, 5)],
    "bn,anm,bm->ba": [(2, 3), (5, 3, 4), (2, 4)], "bhwc,hkc->bhwk": [(2, 3, 4, 5), (3, 6, 5)], " b a , a -> b ": [(2, 3), (3,)],
    "ba": [(2, 3)], "nkctv,kvw->nctw": [(2, 3, 4, 5, 6), (3, 6, 7)], "iij,jk->k": [(3, 3, 4), (4, 2)], ",->": [(), ()],
}


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("equation", EQUATIONS)
def test_einsum(tmp_path, equation, fixed):
    feed = {f"x{i}": np.asarray(floats(*shape), np.float32) for i, shape in enumerate(EQUATIONS[equation])}
    check(tmp_path, "Einsum", [feed], fixed=fixed, equation=equation,
          wanted=lambda **operands: [np.einsum(equation, *operands.values())])


def test_einsum_of_integers(tmp_path):
    feed = {"a": np.arange(6).reshape(2, 3), "b": np.arange(12).reshape(3, 4)}
    check(tmp_path, "Einsum", [feed], equation="ij,jk->ik")


COORDINATES = ["half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"]
SIZES = [(1, 2, 4, 5), (2, 1, 1, 7), (1, 1, 9, 6)]


@pytest.mark.parametrize("scales", [(2, 3), (0.5, 0.6), (1.7, 1)])
@pytest.mark.parametrize("coordinates", COORDINATES)
@pytest.mark.parametrize("mode", ["linear", "cubic"])
def test_resize_by_scales(tmp_path, mode, coordinates, scales):
    check_resize(tmp_path, [{"x": floats(*s)} for s in SIZES], {"roi": None, "scales": np.float32([1, 1, *scales])},
                 coordinates, mode=mode)


@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("coordinates", COORDINATES)
def test_resize_to_nearest(tmp_path, coordinates, nearest):
    # Such as f32 has exactly: others round a coordinate that is a whole number down or not.
    for scales in ((2, 3), (0.5, 0.75), (1.5, 1)):
        check_resize(tmp_path, [{"x": floats(*s)} for s in SIZES], {"roi": None, "scales": np.float32([1, 1, *scales])},
                     coordinates, mode="nearest", nearest_mode=nearest)


@pytest.mark.parametrize("sizes", [(8, 3), (1, 1), (5, 11)])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_resize_to_sizes(tmp_path, mode, sizes):
    for coordinates in ("half_pixel", "align_corners", "pytorch_half_pixel"):
        check_against_ort(tmp_path, "Resize", [{"x": floats(*s)} for s in SIZES],
                          {"roi": None, "scales": None, "sizes": np.int64(sizes)}, mode=mode, axes=[2, 3],
                          coordinate_transformation_mode=coordinates)


@pytest.mark.parametrize("mode", ["linear", "cubic"])
@pytest.mark.parametrize("scales", [(0.5, 0.6), (2, 0.3)])
def test_resize_antialiased(tmp_path, mode, scales):
    check(tmp_path, "Resize", [{"x": floats(*s)} for s in ((1, 2, 9, 10), (1, 1, 4, 7))],
          {"roi": None, "scales": np.float32([1, 1, *scales])}, opset=19, mode=mode, antialias=1)


def test_resize_excluding_what_is_outside(tmp_path):
    check_against_ort(tmp_path, "Resize", [{"x": floats(*s)} for s in SIZES],
                      {"roi": None, "scales": np.float32([1, 1, 1.5, 0.7])}, mode="cubic", cubic_coeff_a=-0.5,
                      exclude_outside=1)


@pytest.mark.parametrize("policy", ["not_larger", "not_smaller"])
def test_resize_keeping_the_aspect_ratio(tmp_path, policy):
    check(tmp_path, "Resize", [{"x": floats(1, 1, 4, 6)}], {"roi": None, "scales": None, "sizes": np.int64([7, 8])},
          opset=19, fixed=True, mode="nearest", axes=[2, 3], keep_aspect_ratio_policy=policy)


def test_resize_of_a_region(tmp_path):
    roi = np.float32([0, 0, 0.4, -0.2, 1, 1, 1.2, 0.7])
    for mode in ("linear", "nearest"):
        check_against_ort(tmp_path, "Resize", [{"x": floats(1, 1, 6, 7)}],
                          {"roi": roi, "scales": None, "sizes": np.int64([1, 1, 3, 4])}, mode=mode,
                          coordinate_transformation_mode="tf_crop_and_resize", extrapolation_value=9.0)


def test_resize_of_bytes_to_nearest(tmp_path):
    x = np.arange(12, dtype=np.uint8).reshape(1, 1, 3, 4)
    check_against_ort(tmp_path, "Resize", [{"x": x}], {"roi": None, "scales": np.float32([1, 1, 2, 2])}, mode="nearest")


@pytest.mark.parametrize("opset", [7, 9])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(tmp_path, opset, mode):
    scales = np.float32([1, 1, 2, 3])
    extra = ({}, {"scales": scales.tolist()}) if opset == 7 else ({"scales": scales}, {})
    check_against_ort(tmp_path, "Upsample", [{"x": floats(*s)} for s in SIZES], extra[0], opset=opset, mode=mode,
                      **extra[1])


def test_resize_before_it_had_coordinates(tmp_path):
    check_against_ort(tmp_path, "Resize", [{"x": floats(*s)} for s in SIZES], {"scales": np.float32([1, 1, 2, 1.5])},
                      opset=10, mode="nearest")


@pytest.mark.parametrize("align", [0, 1])
@pytest.mark.parametrize("padding", ["zeros", "border", "reflection"])
@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_grid_sample(tmp_path, mode, padding, align):
    feeds = [{"x": floats(2, 3, 4, 5), "g": floats(2, 3, 2, 2)}, {"x": floats(1, 1, 1, 3), "g": floats(1, 2, 7, 2)}]
    # onnxruntime moves a place to the border in all dimensions where it is outside in one, which only cubic sees; ONNX's
    # evaluator, in that one.
    compare = check if (mode, padding) == ("cubic", "border") else check_against_ort
    for feed in feeds:
        compare(tmp_path, "GridSample", [feed], opset=20, fixed=feed is feeds[0], mode=mode, padding_mode=padding,
                align_corners=align)


@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_grid_sample_of_volumes(tmp_path, mode):
    check_against_ort(tmp_path, "GridSample", [{"x": floats(1, 2, 3, 4, 5), "g": floats(1, 2, 3, 2, 3) / 2}], opset=20,
                      mode=mode)
