"""BeamSearch over models with an encoder, like T5, with small bodies of one layer."""

from harness import cases, helper, np, numpy_helper, onnx, run

WORDS, HEADS, SIZE = 11, 1, 2
FLOAT, INT32 = onnx.TensorProto.FLOAT, onnx.TensorProto.INT32


def eighths(*shape, seed, bound):
    return (np.random.default_rng(seed).integers(-bound, bound, shape) / 8).astype(np.float32)


CONSTANTS = [numpy_helper.from_array(array, name) for name, array in {
    "encoder_words": eighths(WORDS, SIZE, seed=1, bound=8), "decoder_words": eighths(WORDS, SIZE, seed=2, bound=8),
    "head": eighths(SIZE, WORDS, seed=3, bound=16), "pairs": eighths(WORDS, WORDS, seed=4, bound=16),
    "half": np.float32([0.5]), "eighth": np.float32([0.125]), "one": np.int64([1]), "two": np.int64([2]),
    "over": np.int64([1, 2])}.items()]  # fmt: skip


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def ports(text, lengths):
    """"name name ...": states are [batch, heads, length, size]."""
    out = []
    for name in text.split():
        kind = FLOAT if name.split("_")[0] in ("past", "present", "logits") or "hidden" in name else INT32
        shape = ["batch", HEADS, f"{name} length", SIZE] if name.startswith(("past", "present")) else ["batch", lengths.get(name, "length")]
        if name == "logits":
            shape = ["batch", 1, WORDS]
        elif "hidden" in name:
            shape.append(SIZE)
        out.append(helper.make_tensor_value_info(name, kind, shape))
    return out


def body(name, nodes, inputs, outputs):
    used = {i for n in nodes for i in n.input}
    return helper.make_graph(nodes, name, ports(inputs, {"input_ids": 1, "decoder_input_ids": 1}), ports(outputs, {}),
                             [t for t in CONSTANTS if t.name in used])


ENCODER = [
    node("Gather", "encoder_words encoder_input_ids", "words"),
    node("Cast", "encoder_attention_mask", "mask", to=FLOAT),
    node("Unsqueeze", "mask two", "column"),
    node("Mul", "words column", "encoder_hidden_states"),
    node("Unsqueeze", "encoder_hidden_states one", "present_key_cross_0"),
    node("Mul", "present_key_cross_0 half", "present_value_cross_0"),
]


def decoder_nodes(ids, cross, past):
    """Logits of all states' sums and of the last token; without a past the states begin here."""
    join = (lambda old, new, out: node("Concat", f"{old} {new}", out, axis=2)) if past else (
        lambda old, new, out: node("Identity", new, out))
    return [
        node("Gather", f"decoder_words {ids}", "word"),
        node("Unsqueeze", "word one", "key"),
        join("past_key_self_0", "key", "present_key_self_0"),
        node("Mul", "key half", "value"),
        join("past_value_self_0", "value", "present_value_self_0"),
        node("ReduceSum", "present_key_self_0 over", "keys", keepdims=0),
        node("ReduceSum", "present_value_self_0 over", "values", keepdims=0),
        node("ReduceSum", f"{cross}_key_cross_0 over", "far_keys", keepdims=0),
        node("ReduceSum", f"{cross}_value_cross_0 over", "far_values", keepdims=0),
        node("Sum", "keys values far_keys far_values", "sum"),
        node("Mul", "sum eighth", "small"),
        node("MatMul", "small head", "flat"),
        node("Unsqueeze", "flat one", "scores"),
        node("Gather", f"pairs {ids}", "pair"),
        node("Add", "scores pair", "logits"),
    ]


SELF, CROSS = "key_self_0 value_self_0", "key_cross_0 value_cross_0"


def named(prefix, names):
    return " ".join(f"{prefix}_{n}" for n in names.split())


def bodies(first_run, hidden):
    """The encoder's body, which may be the decoder's first run as well, and the decoder's."""
    ids = "encoder_input_ids encoder_attention_mask"
    encoder = body("encoder", ENCODER, ids, named("present", CROSS)) if not first_run else body(
        "encoder", ENCODER + decoder_nodes("decoder_input_ids", "present", False), f"{ids} decoder_input_ids",
        f"logits encoder_hidden_states {named('present', SELF)} {named('present', CROSS)}")
    inputs = f"input_ids encoder_attention_mask {'encoder_hidden_states ' * hidden}{named('past', SELF)} {named('past', CROSS)}"
    decoder = body("decoder", decoder_nodes("input_ids", "past", True), inputs, f"logits {named('present', SELF)}")
    return {"encoder": encoder, "decoder": decoder}


def inputs(most=9, least=0, beams=3, give=2, length_penalty=1.0, repetition=1.0, mask=None):
    out = {"input_ids": np.array([[10, 3, 5], [1, 7, 2]], np.int32)}
    numbers = {"max_length": most, "min_length": least, "num_beams": beams, "num_return_sequences": give}
    out |= {name: np.array([n], np.int32) for name, n in numbers.items()}
    out |= {"length_penalty": np.float32([length_penalty]), "repetition_penalty": np.float32([repetition])}
    return out if mask is None else out | {"vocab_mask": None, "prefix_vocab_mask": None, "attention_mask": mask}


for form, what in (((False, False), "encoder alone"), ((True, False), "encoder with the first run"),
                   ((True, True), "decoder with hidden states")):
    cases(
        "BeamSearch",
        (f"{what}, all scores", inputs(), {"outputs": 3}),
        (f"{what}, a mask", inputs(mask=np.array([[1, 1, 0], [1, 1, 1]], np.int32)), {"outputs": 3}),
        (f"{what}, a penalty of length", inputs(length_penalty=2.0, least=4), {"eos_token_id": 5}),
        (f"{what}, stops early", inputs(most=14, beams=4, give=4, repetition=1.5),
         {"eos_token_id": 5, "early_stopping": 1}),
        (f"{what}, no pair twice", inputs(most=14, beams=2, give=1, repetition=1.5),
         {"eos_token_id": 8, "no_repeat_ngram_size": 2}),
        (f"{what}, one beam", inputs(most=14, beams=1, give=1), {"eos_token_id": 7}),
        **{"outputs": 2, "eos_token_id": 0, "pad_token_id": 10, "decoder_start_token_id": 1, "model_type": 1,
           "vocab_size": WORDS, **bodies(*form)},
    )

run()
