#!/usr/bin/env python3
"""Writes the seeds of the ONNX fuzzer: small models that use every message and kind of storage the importer knows.

usage: make_onnx_corpus.py FOLDER     (needs the onnx package; the result is in the tree)"""
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper, parser

OUT = sys.argv[1]


def write(name, model):
    onnx.checker.check_model(model)
    with open(f"{OUT}/{name}.onnx", "wb") as f:
        f.write(model.SerializeToString(deterministic=True))


def text(name, source, initializers=()):
    model = parser.parse_model(source)
    model.graph.initializer.extend(initializers)
    write(name, model)


def raw(name, array):
    return numpy_helper.from_array(np.asarray(array), name)


rng = np.random.default_rng(1)

text("mlp", """
<ir_version: 8, opset_import: ["": 17], producer_name: "hand", producer_version: "1", model_version: 3,
 metadata_props: ["licence": "none", "sparsity": "1x4"]>
g (float[N,4] x) => (float[N,2] y) { h = MatMul (x, w1) r = Relu (h) s = Add (r, b1) y = Gemm <alpha = 0.5, transB = 1> (s, w2) }""",
     [raw("w1", rng.normal(size=(4, 3)).astype("f")), raw("b1", np.ones(3, "f")), raw("w2", rng.normal(size=(2, 3)).astype("f"))])

text("conv", """
<ir_version: 8, opset_import: ["": 13]>
g (float[batch,1,8,8] x) => (float[batch,C,H,W] y) {
 c = Conv <kernel_shape = [3,3], pads = [1,1,1,1], strides = [2,2], auto_pad = "NOTSET"> (x, w)
 n = BatchNormalization <epsilon = 0.001> (c, s, b, m, v)
 p = MaxPool <kernel_shape = [2,2]> (n)
 y = Softmax <axis = 1> (p) }""",
     [raw("w", rng.normal(size=(2, 1, 3, 3)).astype("f"))] + [raw(n, np.ones(2, "f")) for n in "sbmv"])

text("shapes", """
<ir_version: 8, opset_import: ["": 17]>
g (float[batch,"past + seq",6] x, float[batch,seq,6] z) => (float[?,?,2,3] y, int64[n] k) {
 s = Shape (x) i = Constant <value = int64[2] {0, 1}> () d = Gather (s, i)
 t = Constant <value_ints = [2, 3]> () r = Concat <axis = 0> (d, t) y = Reshape (x, r)
 u = Constant <value_int = 2> () a = Constant <value_ints = [0]> () e = Unsqueeze (u, a) k = Slice (s, e, s) }""")

text("control", """
<ir_version: 8, opset_import: ["": 17]>
g (bool c, float[N] x, int64 n) => (float[N] y, float[N] z, float[M,N] w) {
 y = If (c) <then_branch = t () => (float[N] p) { p = Relu (x) },
             else_branch = e () => (float[N] p) { q = Neg (x) p = If (c) <then_branch = tt () => (float[N] r) { r = Abs (q) },
                                                                          else_branch = ee () => (float[N] r) { r = Add (q, x) }> } >
 z, w = Loop (n, c, x) <body = b (int64 i, bool go, float[N] v) => (bool more, float[N] u, float[N] o) {
   more = Identity (go) u = Add (v, x) o = Mul (u, y) }> }""")

text("sequences", """
<ir_version: 8, opset_import: ["": 17]>
g (float[N] x, seq(float[N]) s, optional(float[N]) o) => (float[N] y, bool h, int64 n) {
 l = SequenceInsert (s, x) i = Constant <value_int = 0> () y = SequenceAt (l, i) n = SequenceLength (l)
 h = OptionalHasElement (o) }""")

text("functions", """
<ir_version: 9, opset_import: ["": 18, "local": 1]>
g (float[N] x) => (float[N] y) { t = local.twice <slope = 0.1> (x) y = local.once (t) }
<domain: "local", opset_import: ["": 18, "local": 1]>
twice <slope> (a) => (c) { b = local.once <s: float = @slope> (a) c = local.once <s: float = @slope> (b) }
<domain: "local", opset_import: ["": 18]>
once <s: float = 0.25> (a) => (c) { c = LeakyRelu <alpha: float = @s> (a) }""")

text("quantised", """
<ir_version: 10, opset_import: ["": 21]>
g (float[N,4] x) => (float[N,4] y) {
 q = QuantizeLinear (x, s, z) d = DequantizeLinear (q, s, z) w = DequantizeLinear <axis = 1> (w8, sw, zw)
 i = DequantizeLinear (w4, s) t = MatMul (d, w) y = Add (t, i) }""",
     [raw("s", np.float32(0.1)), raw("z", np.uint8(128)), raw("w8", rng.integers(-128, 127, (4, 4)).astype(np.int8)),
      raw("sw", np.full(4, 0.1, "f")), raw("zw", np.zeros(4, np.int8)),
      helper.make_tensor("w4", TensorProto.INT4, [4], [1, -2, 7, -8])])

text("microsoft", """
<ir_version: 8, opset_import: ["": 17, "com.microsoft": 1]>
g (float[B,S,4] x) => (float[B,S,4] y) { a = com.microsoft.FastGelu (x) y = com.microsoft.BiasGelu (a, b) }""",
     [raw("b", np.ones(4, "f"))])

# every element type, in its typed field and raw
T = TensorProto
kinds = [T.FLOAT, T.DOUBLE, T.FLOAT16, T.BFLOAT16, T.INT64, T.INT32, T.INT16, T.INT8, T.UINT64, T.UINT32, T.UINT16,
         T.UINT8, T.BOOL, T.COMPLEX64, T.COMPLEX128, T.FLOAT8E4M3FN, T.FLOAT8E5M2, T.INT4, T.UINT4, T.STRING]
nodes, inits, outputs = [], [], []
for k in kinds:
    for form in "tr" if k != T.STRING else "t":
        name = f"{T.DataType.Name(k).lower()}_{form}"
        values = [b"a", b"", b"text"] if k == T.STRING else [1, 0, 1]
        tensor = helper.make_tensor(name, k, [3], values)
        if form == "r":
            tensor = numpy_helper.from_array(numpy_helper.to_array(tensor), name)
        inits.append(tensor)
        nodes.append(helper.make_node("Identity", [name], [f"{name}_out"]))
        outputs.append(helper.make_tensor_value_info(f"{name}_out", k, [3]))
graph = helper.make_graph(nodes, "types", [], outputs, inits)
write("types", helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)]))

# sparse initializers of both index forms
values = helper.make_tensor("s1", T.FLOAT, [2], [1.0, 2.0])
indices = helper.make_tensor("i1", T.INT64, [2], [1, 5])
pairs = helper.make_tensor("i2", T.INT64, [2, 2], [0, 1, 1, 2])
values2 = helper.make_tensor("s2", T.FLOAT, [2], [3.0, 4.0])
graph = helper.make_graph([helper.make_node("Add", ["s1", "s2"], ["y"])], "sparse", [],
                          [helper.make_tensor_value_info("y", T.FLOAT, [2, 3])],
                          sparse_initializer=[helper.make_sparse_tensor(values, indices, [2, 3]),
                                              helper.make_sparse_tensor(values2, pairs, [2, 3])])
write("sparse", helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)]))

# as old exporters wrote: initializers listed as inputs, attributes without types
graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"], axis=1, broadcast=1)], "old",
                          [helper.make_tensor_value_info("x", T.FLOAT, [1, 2]),
                           helper.make_tensor_value_info("w", T.FLOAT, [2])],
                          [helper.make_tensor_value_info("y", T.FLOAT, [1, 2])],
                          [helper.make_tensor("w", T.FLOAT, [2], [1.0, 2.0])])
write("old", helper.make_model(graph, ir_version=3, opset_imports=[helper.make_opsetid("", 6)]))

# external data, which a fuzzer's model has none of
tensor = helper.make_tensor("w", T.FLOAT, [2], [1.0, 2.0])
tensor.ClearField("float_data")
tensor.data_location = T.EXTERNAL
for key, value in ("location", "weights.bin"), ("offset", "4096"), ("length", "8"):
    tensor.external_data.add(key=key, value=value)
graph = helper.make_graph([helper.make_node("Relu", ["w"], ["y"])], "external", [],
                          [helper.make_tensor_value_info("y", T.FLOAT, [2])], [tensor])
model = helper.make_model(graph, ir_version=8, opset_imports=[helper.make_opsetid("", 17)])
with open(f"{OUT}/external.onnx", "wb") as f:
    f.write(model.SerializeToString(deterministic=True))
