"""Quantised tensors and weights: GatherBlockQuantized, QLinear*, the channels-last operators, MatMulBnb4, DynamicQuantizeLSTM."""

from harness import cases, floats, helper, integers, np, numpy_helper, onnx, run, scalar

U8, I8 = np.uint8, np.int8


# ---- GatherBlockQuantized ------------------------------------------------------------------------------------------


def gather(data, indices, scales, zeros=None, kind=None, dtype=np.float32):
    """data and zeros hold one entry an element for types of 4 bits, bytes as they stand otherwise."""
    inputs = {"data": data, "indices": indices, "scales": floats(*scales, seed=2, dtype=dtype), "zeros": zeros}
    if zeros is None:
        inputs.popitem()
    names = [n for n in ("data", "zeros") if n in inputs] if kind else []
    return inputs, {"constants": ("data", "scales", "zeros"), "dtypes": dict.fromkeys(names, kind)}


def gather_cases():
    some = np.array([[0, 4, -1], [2, -5, 1]])
    entries = integers(5, 40, low=0, high=16, seed=1, dtype=U8)
    blocks = integers(5, 3, low=0, high=16, seed=3, dtype=U8)
    outside = np.array([1, 5, -6], np.int32)
    kinds = onnx.TensorProto
    for why, (inputs, options), attributes in [
        ("uint8 of 4 bits", gather(integers(5, 20, low=0, high=256, dtype=U8), some, (5, 3)), {}),
        ("with zero points", gather(integers(5, 20, low=0, high=256, dtype=U8), some, (5, 3),
                                    integers(5, 2, low=0, high=256, dtype=U8)), {}),
        ("an index outside", gather(integers(5, 20, low=0, high=256, dtype=U8), outside, (5, 3)), {}),
        ("2 bits", gather(integers(5, 10, low=0, high=256, dtype=U8), some, (5, 3),
                          integers(5, 1, low=0, high=256, dtype=U8)), {"bits": 2}),
        ("8 bits", gather(integers(5, 40, low=0, high=256, dtype=U8), some, (5, 3)), {"bits": 8}),
        ("8 bits with zero points", gather(integers(5, 40, low=0, high=256, dtype=U8), some, (5, 3),
                                           integers(5, 3, low=0, high=256, dtype=U8)), {"bits": 8}),
        ("uint4", gather(entries, some, (5, 3), kind=kinds.UINT4), {}),
        ("uint4 with zero points", gather(entries, some, (5, 3), blocks, kinds.UINT4), {}),
        ("int4 with zero points", gather(entries, some, (5, 3), blocks, kinds.INT4), {}),
        ("int4 along the blocks' axis", gather(entries, np.array([3, -40, 39]), (5, 3), kind=kinds.INT4),
         {"gather_axis": 1}),
        ("blocks along the first axis", gather(integers(33, 6, low=0, high=16, dtype=U8), np.array(2), (3, 6),
                                               integers(3, 6, low=0, high=16, dtype=U8), kinds.UINT4),
         {"gather_axis": 1, "quantize_axis": 0}),
        ("float16", gather(entries, some, (5, 3), blocks, kinds.INT4, np.float16), {"rtol": 1e-3}),
        ("float8e4m3fn, one scale", gather(integers(5, 40, low=0, high=120, dtype=U8), some, (1, 1),
                                           kind=kinds.FLOAT8E4M3FN), {"block_size": 0}),
        ("float4e2m1", gather(entries, some, (5, 3), kind=kinds.FLOAT4E2M1), {}),
    ]:
        yield why, inputs, {**options, "block_size": 16, **attributes}


cases("GatherBlockQuantized", *gather_cases())


# ---- 8-bit tensors -------------------------------------------------------------------------------------------------

def pooled(shape, dtype):
    low, high = (60, 200) if dtype == U8 else (-70, 70)
    zero = dtype(120 if dtype == U8 else -9)
    return {"x": integers(*shape, low=low, high=high, dtype=dtype), "xs": scalar(0.5),
            "xz": scalar(zero, dtype), "ys": scalar(0.23), "yz": scalar(zero, dtype)}


pool = {"kernel_shape": [3, 2], "strides": [2, 1], "pads": [1, 0, 1, 1]}
# A mean halfway between two integers is rounded as the float sums fall.
cases(
    "QLinearAveragePool",
    ("padding is not counted", pooled((2, 3, 7, 8), U8), pool),
    ("padding is counted", pooled((2, 3, 7, 8), I8), {**pool, "count_include_pad": 1}),
    ("channels last", pooled((2, 7, 8, 3), U8), {**pool, "channels_last": 1}),
    ("channels last, int8", pooled((2, 7, 8, 3), I8), {**pool, "channels_last": 1, "count_include_pad": 1}),
    ("the last window sticks out", pooled((1, 2, 8, 8), U8), {"kernel_shape": [3, 3], "strides": [2, 2],
                                                              "ceil_mode": 1}),
    ("one dimension", pooled((1, 2, 9), U8), {"kernel_shape": [2], "strides": [2]}),
    atol=1, rtol=0,
)

reduced = [
    helper.make_node("DequantizeLinear", ["x", "xs", "xz"], ["r"]),
    helper.make_node("ReduceMean", ["r", "axes"], ["m"], keepdims=0),
    helper.make_node("QuantizeLinear", ["m", "ys", "yz"], ["y0"]),
]
cases(
    "QLinearReduceMean",
    ("two axes", pooled((2, 3, 7, 8), U8),
     {"axes": [1, -1], "keepdims": 0,
      "instead": [helper.make_node("Constant", [], ["axes"], value_ints=[1, 3]), *reduced]}),
    ("int8", pooled((2, 3, 7), I8),
     {"axes": [0], "keepdims": 0,
      "instead": [helper.make_node("Constant", [], ["axes"], value_ints=[0]), *reduced]}),
    atol=0, rtol=0,
)


def where(dtype):
    low, high = (0, 256) if dtype == U8 else (-128, 128)
    return {"c": integers(3, 1, low=0, high=2).astype(bool),
            "x": integers(2, 3, 4, low=low, high=high, dtype=dtype), "xs": scalar(0.5), "xz": scalar(7, dtype),
            "y": integers(4, low=low, high=high, seed=2, dtype=dtype), "ys": scalar(0.21), "yz": scalar(3, dtype),
            "zs": scalar(0.37), "zz": scalar(11, dtype)}


tables = ("xs", "xz", "ys", "yz", "zs", "zz")
cases("QLinearWhere", ("uint8", where(U8), {}), ("int8", where(I8), {}), atol=0, rtol=0, constants=tables)


def qconv(shape, weights, x=U8, w=I8, per_channel=False):
    n = weights[0] if per_channel else 1
    return {"x": integers(*shape, low=60 if x == U8 else -60, high=200 if x == U8 else 60, dtype=x),
            "xs": scalar(0.05), "xz": scalar(120 if x == U8 else -3, x),
            "w": integers(*weights, low=-100 if w == I8 else 30, high=100 if w == I8 else 200, dtype=w),
            "ws": floats(n, low=0.01, high=0.02) if per_channel else scalar(0.013),
            "wz": np.zeros(n, w) if per_channel else scalar(0 if w == I8 else 110, w),
            "ys": scalar(0.31), "yz": scalar(100 if x == U8 else 5, x),
            "b": integers(weights[0], low=-400, high=400, dtype=np.int32)}


constant = ("xs", "xz", "w", "ws", "wz", "ys", "yz", "b")
cases(
    "QLinearConv",
    ("channels last", qconv((2, 6, 7, 3), (4, 3, 3, 3)), {"channels_last": 1, "pads": [1, 1, 1, 1]}),
    ("channels last, groups", qconv((1, 6, 7, 4), (6, 2, 3, 3), w=U8), {"channels_last": 1, "group": 2}),
    ("channels last, a scale per channel", qconv((1, 6, 7, 4), (6, 4, 3, 3), I8, I8, True),
     {"channels_last": 1, "strides": [2, 1]}),
    ("channels first", qconv((1, 3, 6, 7), (4, 3, 3, 3)), {"pads": [0, 1, 0, 1]}),
    atol=0, rtol=0, constants=constant,
)


# ---- channels last -------------------------------------------------------------------------------------------------


def turned(nodes):
    """The same with channels first between two transpositions; the node reads c and writes d."""
    return [helper.make_node("Transpose", ["x"], ["c"], perm=[0, 3, 1, 2]), *nodes,
            helper.make_node("Transpose", ["d"], ["y0"], perm=[0, 2, 3, 1])]


def convolved(residual=False):
    inputs = {"x": floats(2, 6, 7, 4), "w": floats(6, 2, 3, 3, seed=2), "b": floats(6, seed=3)}
    return inputs | ({"z": floats(2, 6, 7, 6, seed=4)} if residual else {})


window = {"group": 2, "pads": [1, 1, 1, 1]}
cases("NhwcConv", ("groups", convolved(),
                   {**window, "instead": turned([helper.make_node("Conv", ["c", "w", "b"], ["d"], **window)])}))
cases("NhwcFusedConv", ("a residual", convolved(True), {
    **window, "activation": "Relu", "instead": turned([
        helper.make_node("Conv", ["c", "w", "b"], ["k"], **window),
        helper.make_node("Transpose", ["z"], ["r"], perm=[0, 3, 1, 2]),
        helper.make_node("Add", ["k", "r"], ["s"]),
        helper.make_node("Relu", ["s"], ["d"])])}))
cases(
    "NhwcMaxPool",
    ("uint8", {"x": integers(2, 7, 8, 3, low=0, high=256, dtype=U8)}, pool),
    ("int8", {"x": integers(2, 7, 8, 3, low=-128, high=128, dtype=I8)}, {**pool, "dilations": [1, 2]}),
    atol=0, rtol=0,
)


# ---- weights -------------------------------------------------------------------------------------------------------


def bnb(rows, inner=40, outer=6):
    count = inner * outer
    return {"a": floats(2, 3, rows), "b": integers((count + 1) // 2, low=0, high=256, dtype=U8),
            "absmax": floats(-(-count // 16), seed=2, low=0.1, high=1)}


# ONNX Runtime's kernel for CPUs leaves out transB = 0: the unit matrix fetches the weights.
dequantised = [
    helper.make_node("Constant", [], ["unit"], value=numpy_helper.from_array(np.eye(40, dtype=np.float32))),
    helper.make_node("MatMulBnb4", ["unit", "b", "absmax"], ["w"], domain="com.microsoft", K=40, N=6, block_size=16,
                     quant_type=1),
    helper.make_node("Transpose", ["w"], ["t"]),
    helper.make_node("MatMul", ["a", "t"], ["y0"]),
]
cases(
    "MatMulBnb4",
    ("NF4", bnb(40), {"quant_type": 1}),
    ("FP4", bnb(40), {"quant_type": 0}),
    ("not turned", bnb(6), {"quant_type": 1, "transB": 0, "instead": dequantised}),
    K=40, N=6, block_size=16, constants=("b", "absmax"),
)


def lstm(dirs=1, per_column=False, dtype=I8):
    steps, batch, size, hidden = 5, 2, 6, 4
    low, high = (-100, 100) if dtype == I8 else (30, 220)
    table = (dirs, 4 * hidden) if per_column else (dirs,)
    zero = np.full(table, 0 if dtype == I8 else 128, dtype)
    return {"x": floats(steps, batch, size), "w": integers(dirs, size, 4 * hidden, low=low, high=high, dtype=dtype),
            "r": integers(dirs, hidden, 4 * hidden, low=low, high=high, seed=2, dtype=dtype),
            "b": floats(dirs, 8 * hidden, seed=3), "lens": np.array([5, 3], np.int32),
            "h": floats(dirs, batch, hidden, seed=4), "c": floats(dirs, batch, hidden, seed=5), "p": None,
            "ws": floats(*table, seed=6, low=0.004, high=0.008), "wz": zero,
            "rs": floats(*table, seed=7, low=0.004, high=0.008), "rz": zero}


# ONNX Runtime rounds x and h to 8 bits as well: a two-hundredth of their range, with some cancelling in the sums.
cases(
    "DynamicQuantizeLSTM",
    ("forward", lstm(), {}),
    ("uint8", lstm(dtype=U8), {"direction": "reverse"}),
    ("both ways, a scale per column", lstm(2, True), {"direction": "bidirectional"}),
    hidden_size=4, outputs=3, rtol=0, atol=1e-2, constants=("w", "r", "ws", "wz", "rs", "rz"),
)

run()
