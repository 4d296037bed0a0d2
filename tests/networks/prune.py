"""sumi prune from end to end on the example network: python prune.py

The file it writes is an ONNX file like others: ONNX Runtime gives what sumi gives, the zeros are there in the pattern asked
for, nothing but the weights and the metadata differs, a compiled file of it is smaller; tuning loses less and keeps the
zeros; and a job that is interrupted is gone on with."""

import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(__import__("pathlib").Path(__file__).resolve().parents[1] / "python"))
import oracle  # noqa: E402
from oracle import np, numpy_helper, onnx  # noqa: E402

DATA = oracle.ROOT / "examples/data"
NETWORK = DATA / "cifar10_resnet.onnx"
TOLERANCE = 1e-4  # of the largest output: float32, sums in another order


def weights_of(path):
    model = onnx.load(path)
    onnx.checker.check_model(model)
    return model, {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def blocks(w, rows, columns):
    """Whether each block of the weights [m, c, kh, kw], columns within a tap, holds anything."""
    m, c = w.shape[:2]
    w = w.reshape(m // rows, rows, c // columns, columns, -1)
    return (w != 0).any(axis=(1, 3)), (w != 0).all(axis=(1, 3))


def check_weights(report, dense, sparse, rows, columns, density):
    good = True
    for layer in report["layers"]:
        w = sparse[layer["weight"]]
        if layer["why"]:
            good &= np.array_equal(w, dense[layer["weight"]])
            continue
        some, all_of = blocks(w, rows, columns)
        good &= abs(np.count_nonzero(w) / w.size - density) < 0.01 and abs(layer["density"] - density) < 0.01
        good &= np.array_equal(some, all_of)
    return good


def check_rest(dense, sparse):
    """All but weights and metadata is as it was."""
    a, b = onnx.ModelProto(), onnx.ModelProto()
    a.CopyFrom(dense)
    b.CopyFrom(sparse)
    keys = {p.key for p in b.metadata_props}
    for model in (a, b):
        del model.graph.initializer[:]
        del model.metadata_props[:]
    return a == b and {"sumi.prune.pattern", "sumi.prune.sparsity", "sumi.prune.calibration"} <= keys


def check_outputs(path, work):
    x = np.random.default_rng(1).uniform(0, 255, (4, 3, 32, 32)).astype(np.float32)
    np.save(work / "x.npy", x)
    (want,) = oracle.ort_session(path).run(None, {"image": x})
    subprocess.run([oracle.sumi_program(), "run", path, "-i", f"image={work}/x.npy", "-o", work], check=True,
                   stdout=subprocess.DEVNULL)  # fmt: skip
    return np.abs(np.load(work / "logits.npy") - want).max() <= TOLERANCE * np.abs(want).max()


def compiled_bytes(path, work):
    return oracle.sumi_json("compile", path, "-o", work / "m.sumi")["packed_bytes"]


def check_tuned(work, untuned, *options):
    """Tuning on top of what was pruned: a smaller loss, the same zeros, everything else as before. By magnitude: least squares on
    so few pictures leave those very pictures' loss little room, whatever tuning does for others."""
    out = work / "tuned.onnx"
    report = oracle.sumi_json("prune", NETWORK, "-o", out, "--pattern", "4x4", "--sparsity", 0.75, "--calib",
                              DATA / "images", "--method", "magnitude", "--augment", *options)  # fmt: skip
    model, tuned = weights_of(out)
    before_model, before = weights_of(untuned)
    weights = [layer["weight"] for layer in report["layers"]]
    verdicts = {
        "loss": 0 < report["loss"] < 0.9 * report["loss_before_tuning"] and report["tuning_seconds"] > 0,
        "zeros": all(np.array_equal(tuned[w] == 0, before[w] == 0) for w in weights),
        "moved": not any(np.array_equal(tuned[w], before[w]) for w in weights),
        "rest": check_rest(before_model, model),
        "outputs": check_outputs(out, work),
        "metadata": any(p.key == "sumi.prune.tuning" for p in model.metadata_props),
    }
    print(f"tuned: loss {report['loss_before_tuning']:.5f}, then {report['loss']:.5f}, {verdicts}")
    return all(verdicts.values())


def check_interrupted(work, whole):
    """The first interrupt ends the program as interrupts do; the same command then has layers to take over."""
    out = work / "stopped.onnx"
    state = work / "stopped.onnx.state"
    command = ["prune", NETWORK, "-o", out, "--pattern", "4x4", "--sparsity", "0.75", "--calib", DATA / "images"]
    job = subprocess.Popen([oracle.sumi_program(), *map(str, command)], stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)  # fmt: skip
    while job.poll() is None and not (state.exists() and state.stat().st_size > 30000):
        time.sleep(0.002)
    job.send_signal(signal.SIGINT)
    if job.wait() == 0:
        print("  it was done before it could be interrupted")
        return True
    report = oracle.sumi_json(*command)
    return (job.returncode == -signal.SIGINT and report["resumed"] > 0 and not state.exists()
            and out.read_bytes() == whole.read_bytes())  # fmt: skip


def main():
    passed = True
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as name:
        work = type(oracle.ROOT)(name)
        model, dense = weights_of(NETWORK)
        size = compiled_bytes(NETWORK, work)
        for rows, columns, sparsity in ((1, 1, 0.5), (1, 4, 0.5), (4, 4, 0.75)):
            out = work / f"{rows}x{columns}.onnx"
            report = oracle.sumi_json("prune", NETWORK, "-o", out, "--pattern", f"{rows}x{columns}", "--sparsity",
                                      sparsity, "--calib", DATA / "images", "--report", work / "r.html")  # fmt: skip
            pruned, sparse = weights_of(out)
            verdicts = {
                "weights": check_weights(report, dense, sparse, rows, columns, 1 - sparsity),
                "rest": check_rest(model, pruned),
                "outputs": check_outputs(out, work),
                "size": rows < 4 or compiled_bytes(out, work) < 0.5 * size,  # else lists of offsets outweigh zeros
                "page": (work / "r.html").read_text().count("<svg") == 3,
            }
            print(f"{rows}x{columns} {sparsity}: loss {report['loss']:.5f}, {verdicts}")
            passed &= all(verdicts.values())
        untuned = work / "untuned.onnx"
        oracle.sumi_json("prune", NETWORK, "-o", untuned, "--pattern", "4x4", "--sparsity", 0.75, "--calib",
                         DATA / "images", "--method", "magnitude")  # fmt: skip
        passed &= check_tuned(work, untuned, "--reconstruct", 1, "--finetune", 2)
        passed &= check_tuned(work, untuned, "--finetune", 6, "--loss", "kl", "--labels", 0.5, "--temperature", 2,
                              "--tune-samples", 0, "--tune-batch", 10, "--precision", "bf16", "--teacher", NETWORK)  # fmt: skip
        stopped = check_interrupted(work, work / "4x4.onnx")
        print(f"interrupted and gone on with: {stopped}")
    sys.exit(not (passed and stopped))


main()
