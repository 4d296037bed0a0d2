"""Mixtures of experts: MoE and QMoE."""

from harness import cases, floats, helper, integers, np, run

EXPERTS, TOKENS, HIDDEN, INTER = 5, 6, 8, 6


def moe(gates=1, bias=True, shape=(TOKENS, HIDDEN)):
    """gates: 2 where fc1 holds gates and values."""
    return {"x": floats(*shape), "router": floats(TOKENS, EXPERTS, seed=2, low=-2, high=2),
            "w1": floats(EXPERTS, gates * INTER, HIDDEN, seed=3), "b1": floats(EXPERTS, gates * INTER, seed=4) if bias else None,
            "w2": floats(EXPERTS, HIDDEN, INTER, seed=5), **({"b2": floats(EXPERTS, HIDDEN, seed=6)} if bias else {})}


swiglu = {"activation_type": "swiglu", "swiglu_fusion": 1}
cases(
    "MoE",
    *[(f"{act}, {k} of {EXPERTS}", moe(), {"activation_type": act, "k": k})
      for act in ("relu", "gelu", "silu", "identity") for k in (1, 3)],
    ("weights that add up to one", moe(), {"k": 2, "normalize_routing_weights": 1}),
    ("all experts, no bias, three dimensions", moe(bias=False, shape=(2, 3, HIDDEN)), {"k": EXPERTS}),
    ("swiglu", moe(2), {**swiglu, "k": 2}),
    ("swiglu with limits", moe(2), {**swiglu, "k": 2, "activation_alpha": 1.7, "activation_beta": 1.0,
                                    "swiglu_limit": 0.5, "normalize_routing_weights": 1}),
)


def qmoe(bits, block=0, zeros=False, gates=1, mix=False, hidden=32, inter=32):
    def scales(rows, columns, seed):
        return floats(EXPERTS, rows, *([columns // block] if block else []), seed=seed, low=0.01, high=0.1)

    def packed(rows, columns, seed):
        return integers(EXPERTS, rows, columns * bits // 8, low=0, high=256, seed=seed, dtype=np.uint8)

    def zero(rows, columns, seed):
        shape = (rows, -(-(columns // block) * bits // 8)) if block else (rows * bits // 8,)
        return integers(EXPERTS, *shape, low=0, high=256, seed=seed, dtype=np.uint8) if zeros else None

    inputs = {"x": floats(TOKENS, hidden), "router": floats(TOKENS, EXPERTS, seed=2, low=-2, high=2),
              "w1": packed(gates * inter, hidden, 3), "s1": scales(gates * inter, hidden, 4),
              "b1": floats(EXPERTS, gates * inter, seed=5),
              "w2": packed(hidden, inter, 6), "s2": scales(hidden, inter, 7), "b2": floats(EXPERTS, hidden, seed=8),
              "w3": None, "s3": None, "b3": None, "z1": zero(gates * inter, hidden, 9), "z2": zero(hidden, inter, 10),
              "z3": None, "mix": floats(TOKENS, EXPERTS, seed=11, low=0.1, high=1) if mix else None}
    while inputs[list(inputs)[-1]] is None:
        inputs.popitem()
    return inputs


# Always normalised: ONNX Runtime's kernel for CPUs does so whatever normalize_routing_weights says.
names = ("w1", "s1", "b1", "w2", "s2", "b2", "z1", "z2")
cases(
    "QMoE",
    *[(f"{bits} bits", qmoe(bits), {"k": 2, "expert_weight_bits": bits}) for bits in (4, 8)],
    *[(f"{bits} bits with zero points", qmoe(bits, zeros=True), {"k": 2, "expert_weight_bits": bits}) for bits in (4, 8)],
    *[(f"{bits} bits in blocks", qmoe(bits, 16), {"k": 2, "expert_weight_bits": bits, "block_size": 16}) for bits in (2, 4)],
    ("4 bits in blocks with zero points", qmoe(4, 16, True), {"k": 2, "expert_weight_bits": 4, "block_size": 16}),
    ("swiglu", qmoe(4, gates=2), {**swiglu, "k": 2, "expert_weight_bits": 4}),
    ("another mixture than the route", qmoe(4, mix=True), {"k": 2, "expert_weight_bits": 4}),
    constants=names,
    normalize_routing_weights=1,
)

run()
