"""Attention operators: GroupQueryAttention, DecoderMaskedMultiHeadAttention, SimplifiedLayerNormalization beside them."""

from harness import cases, floats, helper, integers, np, run, scalar

BATCH, HEADS, KV, HEAD = 2, 4, 2, 32


def gqa(tokens, past=None, lengths=None, total=None, packed=False, rotary=False, positions=None, bias=False, sink=False,
        chunks=None, batch=BATCH, angles=HEAD // 2, dtype=np.float32):
    """Inputs of GroupQueryAttention; past is the rows of the cache, lengths the total tokens of each sequence."""
    hidden = (HEADS + 2 * KV if packed else HEADS) * HEAD
    total = total or max(lengths)
    inputs = {"query": floats(batch, tokens, hidden, seed=1, dtype=dtype)}
    inputs["key"] = None if packed else floats(batch, tokens, KV * HEAD, seed=2, dtype=dtype)
    inputs["value"] = None if packed else floats(batch, tokens, KV * HEAD, seed=3, dtype=dtype)
    inputs["past_key"] = floats(batch, KV, past, HEAD, seed=4, dtype=dtype) if past else None
    inputs["past_value"] = floats(batch, KV, past, HEAD, seed=5, dtype=dtype) if past else None
    inputs["seqlens_k"] = np.array(lengths, np.int32) - 1
    inputs["total_sequence_length"] = scalar(total, np.int32)
    inputs["cos"] = floats(32, angles, seed=6, dtype=dtype) if rotary else None
    inputs["sin"] = floats(32, angles, seed=7, dtype=dtype) if rotary else None
    inputs["positions"] = None if positions is None else np.array(positions, np.int64)
    inputs["bias"] = floats(1, HEADS, tokens, total, seed=8, dtype=dtype) if bias else None
    inputs["sink"] = floats(HEADS, seed=9, dtype=dtype) if sink else None
    if chunks:
        inputs |= {n: None for n in ("k_scale", "v_scale", "q_norm", "k_norm")}
        inputs["chunks"] = np.array(chunks, np.int32)
    while inputs[list(inputs)[-1]] is None:
        inputs.popitem()
    return inputs


def valid(lengths, tokens=None):
    """Outputs without the rows that mean nothing: cache rows behind a sequence, queries behind its tokens."""

    def pick(outputs):
        parts = []
        for b, length in enumerate(lengths):
            parts.append(outputs[0][b, : tokens[b] if tokens else None])
            parts += [cache[b, :, :length] for cache in outputs[1:3]]
        return parts

    return pick


sizes = {"num_heads": HEADS, "kv_num_heads": KV, "outputs": 3}
cases(
    "GroupQueryAttention",
    ("a prompt", gqa(5, lengths=[5, 5]), {}),
    ("prompts of unequal length", gqa(5, lengths=[5, 3]), {"pick": valid([5, 3], [5, 3])}),
    ("packed, turned", gqa(5, lengths=[5, 5], packed=True, rotary=True), {"do_rotary": 1}),
    ("interleaved", gqa(5, lengths=[5, 5], rotary=True), {"do_rotary": 1, "rotary_interleaved": 1}),
    ("a part of each head turns", gqa(5, lengths=[5, 5], rotary=True, angles=8), {"do_rotary": 1}),
    ("the next token", gqa(1, past=6, lengths=[7, 7], rotary=True), {"do_rotary": 1}),
    ("the next token of unequal pasts", gqa(1, past=6, lengths=[7, 4], rotary=True),
     {"do_rotary": 1, "pick": valid([7, 4])}),
    ("a cache with room", gqa(1, past=12, lengths=[7, 4], rotary=True), {"do_rotary": 1, "pick": valid([7, 4])}),
    ("a prompt into a cache", gqa(5, past=12, lengths=[5, 5]), {"pick": valid([5, 5])}),
    ("several tokens behind a past", gqa(3, past=6, lengths=[9], batch=1, rotary=True), {"do_rotary": 1}),
    ("positions of a first prompt", gqa(4, lengths=[4, 4], rotary=True, positions=[[3, 9, 9, 9], [1, 9, 9, 9]]),
     {"do_rotary": 1}),
    ("positions later", gqa(1, past=6, lengths=[7, 7], rotary=True, positions=[[3], [20]]), {"do_rotary": 1}),
    ("a window", gqa(9, lengths=[9, 9]), {"local_window_size": 4}),
    ("a window over a past", gqa(1, past=9, lengths=[10, 10]), {"local_window_size": 4}),
    ("a window of one", gqa(5, lengths=[5, 5]), {"local_window_size": 1}),
    ("softcap and scale", gqa(5, lengths=[5, 5]), {"softcap": 0.5, "scale": 0.9}),
    ("bias", gqa(5, lengths=[5, 5], bias=True), {}),
    ("bias and softcap", gqa(1, past=6, lengths=[7, 7], bias=True), {"softcap": 0.7}),
    ("smooth softmax", gqa(5, lengths=[5, 5]), {"smooth_softmax": 1}),
    ("sinks", gqa(5, lengths=[5, 5], sink=True), {}),
    ("sinks and a window", gqa(1, past=6, lengths=[7, 7], sink=True), {"local_window_size": 3}),
    ("no mask", gqa(5, lengths=[5, 5]), {"causal": 0}),
    ("scores", gqa(3, past=4, lengths=[7], batch=1, bias=True), {"qk_output": 1, "outputs": 4, "softcap": 0.8,
                                                                  "pick": lambda y: y[:3] + [y[3][:, :, -1]]}),
    ("probabilities", gqa(3, past=4, lengths=[7], batch=1), {"qk_output": 2, "outputs": 4}),
    ("right-padded chunks", gqa(4, past=12, lengths=[7, 4], total=12, chunks=[4, 2], rotary=True),
     {"do_rotary": 1, "pick": valid([7, 4], [4, 2])}),
    ("float16", gqa(5, lengths=[5, 5], dtype=np.float16, rotary=True), {"do_rotary": 1, "rtol": 2e-3}),
    *[(f"a sliding cache of {rows} rows, {total} tokens",
       gqa(tokens, past=rows, lengths=[total], batch=1, rotary=True),
       {"do_rotary": 1, "local_window_size": 4, "sliding_window_cache": 1,
        "pick": lambda y, n=resident: [y[0], y[1][:, :, :n], y[2][:, :, :n]]})
      for rows, tokens, total, resident in [(4, 1, 3, 3), (4, 1, 9, 4), (6, 1, 6, 6), (6, 1, 7, 4), (6, 1, 9, 6),
                                            (6, 5, 11, 5), (4, 7, 7, 4)]],
    **sizes,
)



def quantised(tokens, past, channels, **more):
    """The same with a cache of 8 bits."""
    inputs = gqa(tokens, past=past or 1, lengths=[past + tokens] * BATCH, **more)
    names = list(gqa(1, past=1, lengths=[2, 2], rotary=True, positions=[[0], [0]], bias=True, sink=True))
    inputs = {n: inputs.get(n) for n in names}
    for name in ("past_key", "past_value"):
        inputs[name] = integers(BATCH, KV, past, HEAD, low=-128, high=128, seed=len(name), dtype=np.int8)
    for i, name in enumerate(("k_scale", "v_scale")):
        shape = (1, KV, 1, HEAD) if channels else (1,)
        inputs[name] = floats(*shape, seed=20 + i, low=0.004, high=0.008)
    kind = "PER_CHANNEL" if channels else "PER_TENSOR"
    return inputs, {"k_quant_type": kind, "v_quant_type": kind, "kv_cache_bit_width": 8}


cases(
    "GroupQueryAttention",
    *[(f"a cache of 8 bits, {why}", *quantised(*arguments)) for why, arguments in {
        "a prompt": (5, 0, False), "a prompt, a scale per channel": (5, 0, True), "the next token": (1, 6, False),
        "the next token, a scale per channel": (1, 6, True)}.items()],
    **sizes,
)


# ONNX Runtime's kernel for CPUs takes no norm weights: the norms stand in front of it.
def normed(name, heads, weight):
    shape = f"{name}_shape"
    return [helper.make_node("Constant", [], [shape], value_ints=[BATCH, 5, heads, HEAD]),
            helper.make_node("Constant", [], [f"{shape}_back"], value_ints=[BATCH, 5, heads * HEAD]),
            helper.make_node("Reshape", [name, shape], [f"{name}_split"]),
            helper.make_node("SimplifiedLayerNormalization", [f"{name}_split", weight], [f"{name}_norm"], epsilon=1e-3),
            helper.make_node("Reshape", [f"{name}_norm", f"{shape}_back"], [f"{name}_back"])]


plain = ["query_back", "key_back", "value", "", "", "seqlens_k", "total_sequence_length", "cos", "sin"]
cases(
    "GroupQueryAttention",
    ("heads normalised", {**gqa(5, lengths=[5, 5], rotary=True), "p": None, "a": None, "s": None, "ks": None, "vs": None,
                          "qn": floats(HEAD, seed=10), "kn": floats(HEAD, seed=11)},
     {"do_rotary": 1, "qk_norm_epsilon": 1e-3,
      "instead": [*normed("query", HEADS, "qn"), *normed("key", KV, "kn"),
                  helper.make_node("GroupQueryAttention", plain, ["y0", "y1", "y2"], domain="com.microsoft",
                                   num_heads=HEADS, kv_num_heads=KV, do_rotary=1)]}),
    **sizes,
)


# ---- one token a step ----------------------------------------------------------------------------------------------


def decoder(past=6, beams=0, packed=False, mask=False, add=False, bias=False, cross=False):
    """Inputs of DecoderMaskedMultiHeadAttention, whose cache of 9 rows is filled to past."""
    rows, batch, hidden = 9, 4, HEADS * HEAD
    cache = {"past_key": floats(batch, HEADS, rows, HEAD, seed=4), "past_value": floats(batch, HEADS, rows, HEAD, seed=5)}
    keys = rows if cross else past + 1
    inputs = {"query": floats(batch, 1, hidden * (3 if packed else 1), seed=1)}
    inputs["key"] = cache["past_key"] if cross else None if packed else floats(batch, 1, hidden, seed=2)
    inputs["value"] = cache["past_value"] if cross else None if packed else floats(batch, 1, hidden, seed=3)
    inputs["mask"] = integers(batch, keys, low=0, high=2, dtype=np.int32) if mask else None
    inputs["add"] = floats(1, HEADS, 1, keys, seed=6) if add else None
    if not cross:
        inputs |= {**cache, "past_length": np.array([past], np.int32)}
        inputs["beams"] = np.array([beams], np.int32) if beams else None
        some = integers(batch // (beams or 1), beams, rows, low=0, high=beams, dtype=np.int32) if beams else None
        inputs["indirection"] = some
        inputs["bias"] = floats(3 * hidden, seed=7) if bias else None
    while inputs[list(inputs)[-1]] is None:
        inputs.popitem()
    return inputs


shared = {"past_present_share_buffer": 1, "outputs": 3}
cases(
    "DecoderMaskedMultiHeadAttention",
    ("a cache", decoder(), shared),
    ("an empty cache", decoder(0), shared),
    ("two beams", decoder(beams=2), shared),
    ("four beams", decoder(beams=4), shared),
    ("mask and bias of the scores", decoder(mask=True, add=True), {**shared, "mask_filter_value": -6.0}),
    ("packed", decoder(packed=True), {**shared, "instead": [
        helper.make_node("Split", ["query"], ["q", "k", "v"], axis=2, num_outputs=3),
        helper.make_node("DecoderMaskedMultiHeadAttention",
                         ["q", "k", "v", "", "", "past_key", "past_value", "past_length"], ["y0", "y1", "y2"],
                         domain="com.microsoft", num_heads=HEADS, past_present_share_buffer=1)]}),
    ("bias", decoder(bias=True), shared),
    ("cross-attention", decoder(cross=True), {"scale": 0.3}),
    ("cross-attention with a mask", decoder(cross=True, mask=True), {}),
    num_heads=HEADS,
)


# ---- what stands beside them ---------------------------------------------------------------------------------------

cases(
    "SimplifiedLayerNormalization",
    ("the last axis", {"x": floats(2, 5, 16), "scale": floats(16, seed=2)}, {"outputs": 2}),
    ("two axes", {"x": floats(2, 5, 16), "scale": floats(5, 16, seed=2)}, {"axis": 1, "epsilon": 0.1, "outputs": 2}),
    ("double", {"x": floats(2, 5, 16, dtype=np.float64), "scale": floats(16, seed=2, dtype=np.float64)},
     {"stash_type": 1}),
    ("float16", {"x": floats(2, 5, 16, dtype=np.float16), "scale": floats(16, seed=2, dtype=np.float16)},
     {"rtol": 1e-3}),
    domain="",
)

run()
