"""Operators that ONNX Runtime had before the standard did, and small ones beside them."""

from harness import cases, floats, integers, np, run, scalar

exact = {"rtol": 0, "atol": 0}

cases(
    "TransposeMatMul",
    ("both turned", {"a": floats(2, 5, 4), "b": floats(2, 3, 5, seed=2)}, {"transA": 1, "transB": 1, "alpha": 0.5}),
    ("broadcast", {"a": floats(2, 3, 4, 5), "b": floats(5, 6, seed=2)}, {}),
)
cases(
    "Trilu",
    ("the upper part", {"x": floats(2, 4, 5)}, {}),
    ("above a diagonal", {"x": floats(4, 5, dtype=np.float64), "k": scalar(1, np.int64)}, {"upper": 1}),
    ("below a diagonal", {"x": integers(5, 4, low=-9, high=9), "k": scalar(-1, np.int64)}, {"upper": 0}),
    **exact,
)
cases(
    "ExpandDims",
    ("in front", {"x": floats(2, 3), "axis": scalar(0, np.int32)}, {}),
    ("behind", {"x": floats(2, 3), "axis": scalar(-1, np.int32)}, {}),
    ("from the back", {"x": integers(2, 3, low=0, high=9), "axis": scalar(-2, np.int32)}, {}),
    **exact,
)
cases(
    "Pad",
    ("a constant", {"x": floats(2, 3), "pads": np.array([1, 0, 0, 2]), "value": scalar(7)}, {}),
    ("a list of lists", {"x": floats(2, 3), "pads": np.array([[1, 0, 0, 2]]), "value": np.array([7], np.float32)}, {}),
    ("cut", {"x": floats(4, 5), "pads": np.array([-1, 1, 2, -2])}, {}),
    ("reflect", {"x": floats(4, 5), "pads": np.array([2, 3, 1, 0])}, {"mode": "reflect"}),
    ("edge", {"x": floats(4, 5), "pads": np.array([2, 3, 1, 0])}, {"mode": "edge"}),
    **exact,
)
cases(
    "GatherND",
    ("elements", {"x": floats(2, 3, 4), "i": integers(5, 3, low=0, high=2)}, {}),
    ("slices, int32", {"x": floats(2, 3, 4), "i": np.array([[[1, -1]], [[-2, 0]]], np.int32)}, {}),
    **exact,
)
cases(
    "Range",
    ("without delta", {"start": scalar(3, np.int64), "limit": scalar(8, np.int64)}, {}),
    ("backwards", {"start": scalar(3.5), "limit": scalar(-1), "delta": scalar(-0.75)}, {}),
    ("lists of one", {"start": np.array([2], np.int32), "limit": np.array([9], np.int32),
                      "delta": np.array([3], np.int32)}, {}),
    ("empty", {"start": scalar(3, np.int16), "limit": scalar(3, np.int16)}, {}),
    rtol=1e-7, atol=0,
)
cases("Unique", ("in order", {"x": np.array([2, 1, 1, 3, 4, 3, 2], np.float32)}, {"outputs": 3}), **exact)

unit = np.eye(4, dtype=np.float32)
cases(
    "Inverse",
    ("a stack", {"x": floats(2, 3, 4, 4) + 3 * unit}, {}),
    ("rows to exchange", {"x": np.ascontiguousarray(unit[::-1])}, {}),
    ("double", {"x": (floats(4, 4) + 3 * unit).astype(np.float64)}, {"rtol": 1e-13}),
    rtol=1e-5,
)
rows = {"a": floats(4, 7), "b": floats(5, 7, seed=2)}
cases(
    "CDist",
    ("squares", rows, {}),
    ("roots", rows, {"metric": "euclidean"}),
    ("double", {n: a.astype(np.float64) for n, a in rows.items()}, {"metric": "euclidean", "rtol": 1e-12, "atol": 0}),
)
cases(
    "NGramRepeatBlock",
    *[(f"{n} tokens", {"ids": integers(3, 30, low=0, high=4), "scores": floats(3, 6)}, {"ngram_size": n})
      for n in (1, 2, 3)],
    **exact,
)
boxes = {"x": floats(2, 3, 6, 7), "rois": floats(4, 4, seed=2, low=-0.2, high=1.2),
         "images": np.array([1, 0, 1, 0], np.int32)}
cases(
    "CropAndResize",
    ("bilinear", {**boxes, "size": np.array([4, 5], np.int32)}, {"extrapolation_value": -2.0}),
    ("nearest", {**boxes, "size": np.array([4, 5], np.int32)}, {"mode": "nearest"}),
    ("one row", {**boxes, "size": np.array([1, 3], np.int32)}, {}),
)

run()
