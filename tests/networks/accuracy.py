"""Accuracy with sumi eval against ONNX Runtime on identical inputs: python accuracy.py TASK... [--full]

Tasks: cifar10 (top-1 of 10,000 pictures), int8 (the same network quantised), imagenet (EfficientNet-Lite0, top-1 of
1,000), stsb (MiniLM, Spearman of 1,379 pairs); a part of each unless --full. Both engines get the same arrays; sumi eval
also reads the pictures itself. Fails where the figures differ by more than 0.1 point, or 8 bits lose more than 0.5."""

import argparse
import csv
import os
import shutil
import sys
import tarfile
import tempfile
import time

import compare
import oracle
from oracle import np

POINT = 0.1
CHUNK = 250  # pictures in one .npz


def unpack(archive, name):
    folder = oracle.work_folder() / name
    if not folder.exists():
        part = oracle.work_folder() / f"{name}.{os.getpid()}.part"
        part.mkdir(parents=True)
        with tarfile.open(archive) as tar:
            tar.extractall(part, filter="data")
        try:
            part.rename(folder)
        except OSError:  # another test was first
            if not folder.exists():
                raise
            shutil.rmtree(part)
    return folder


def read_picture(path):
    from PIL import Image

    return np.asarray(Image.open(path).convert("RGB"))


def spread(items, limit):
    """As sumi eval --limit chooses."""
    n = min(limit or len(items), len(items))
    return [items[int(i * len(items) / n)] for i in range(n)]


def ort_correct(session, images, labels):
    name = session.get_inputs()[0].name
    hits = 0
    for at in range(0, len(images), 25):
        logits = session.run(None, {name: images[at : at + 25]})[0]
        hits += int((logits.argmax(-1) == labels[at : at + 25]).sum())
    return hits


def judge(task, figures, n):
    """figures in points by engine; prints them and says whether they agree."""
    apart = max(figures.values()) - min(figures.values())
    print(f"{task}: {n} samples: " + ", ".join(f"{who} {figure:.2f}" for who, figure in figures.items()))
    return apart <= POINT + 1e-9


def classify(task, network, files, labels, folder, prepare, options, limit):
    """files[n] with labels[n] are what sumi eval of the folder with the limit takes."""
    path = compare.network_path(network)
    session = oracle.ort_session(path, threads=2)
    input_name = session.get_inputs()[0].name
    ours = theirs = 0
    seconds = {"sumi": 0.0, "onnxruntime": 0.0}
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as work:
        for at in range(0, len(files), CHUNK):
            images = np.stack([prepare(read_picture(f)) for f in files[at : at + CHUNK]]).astype(np.float32)
            truth = np.array(labels[at : at + CHUNK])
            start = time.monotonic()
            theirs += ort_correct(session, images, truth)
            seconds["onnxruntime"] += time.monotonic() - start
            np.savez(f"{work}/chunk.npz", labels=truth, **{input_name: images})
            report = oracle.sumi_json("eval", path, "--data", f"{work}/chunk.npz", "--threads", "2", timeout=3600)
            ours += report["correct"]
            seconds["sumi"] += report["seconds"]
    limits = ["--limit", limit] if limit else []
    own = oracle.sumi_json("eval", path, "--data", folder, "--threads", "2", *options, *limits, timeout=3600)
    figures = {
        "ONNX Runtime": 100 * theirs / len(files),
        "sumi": 100 * ours / len(files),
        "sumi on its own pictures": 100 * own["top1"],
    }
    print(f"  seconds: {seconds['onnxruntime']:.1f} and {seconds['sumi']:.1f}, two threads")
    return judge(task, figures, len(files)) and own["n"] == len(files)


def cifar10(full):
    limit = 0 if full else 1000
    folder = unpack(oracle.shared() / "data/cifar10-jpeg.tar.xz", "cifar10") / "test"
    classes = sorted(p.name for p in folder.iterdir())
    files = [(f, i) for i, c in enumerate(classes) for f in sorted((folder / c).glob("*.jpg"))]
    chosen = spread(files, limit)
    return classify("cifar10", "cifar10_resnet.onnx", [f for f, _ in chosen], [i for _, i in chosen], folder,
                    lambda rgb: rgb.transpose(2, 0, 1), [], limit)  # fmt: skip


def int8(full):
    """What sumi quantize makes of the CIFAR-10 network, calibrated on training pictures: within half a point."""
    folder = unpack(oracle.shared() / "data/cifar10-jpeg.tar.xz", "cifar10")
    path = compare.network_path("cifar10_resnet.onnx")
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as work:
        made = oracle.sumi_json("quantize", path, "-o", f"{work}/int8.onnx", "--calib", folder / "train", "--samples", "200",
                                timeout=3600)  # fmt: skip
        limits = [] if full else ["--limit", 2000]
        report = oracle.sumi_json("eval", f"{work}/int8.onnx", "--data", folder / "test", "--reference", path, "--threads",
                                  "2", *limits, timeout=3600)  # fmt: skip
    lost = 100 * (report["reference"]["top1"] - report["top1"])
    print(f"int8: {report['n']} samples: {100 * report['top1']:.2f} instead of {100 * report['reference']['top1']:.2f}")
    return made["kept"] == 0 and lost <= 0.5


def imagenet(full):
    limit = 0 if full else 100
    folder = unpack(oracle.shared() / "data/imagenet-sample-1000-256px.tar", "imagenet")
    files = [(f, i) for i, f in enumerate(sorted(folder.glob("*.JPEG")))]
    chosen = spread(files, limit)

    def prepare(rgb):
        return ((rgb[16:240, 16:240].astype(np.float32) - 127) / 128).transpose(2, 0, 1)

    return classify("imagenet", "efficientnet_lite0.onnx", [f for f, _ in chosen], [i for _, i in chosen], folder,
                    prepare, ["--crop", "224", "--mean", "127", "--std", "128"], limit)  # fmt: skip


def spearman(x, y):
    def ranks(values):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        last = np.cumsum(counts)
        return (last - (counts - 1) / 2)[inverse]

    return float(np.corrcoef(ranks(np.asarray(x)), ranks(np.asarray(y)))[0, 1])


def tokenise(sentences):
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(oracle.shared() / "trained/tokenizer.json"))
    tokenizer.enable_truncation(128)
    tokenizer.no_padding()
    return [e.ids for e in tokenizer.encode_batch(sentences)]


def padded(ids, width):
    tokens = np.zeros((len(ids), width), np.int64)
    mask = np.zeros((len(ids), width), np.int64)
    for row, line in enumerate(ids):
        tokens[row, : len(line)] = line
        mask[row, : len(line)] = 1
    return tokens, mask


def stsb(full):
    with open(oracle.shared() / "data/stsb-en/test.csv", newline="", encoding="utf-8") as file:
        rows = spread(list(csv.reader(file)), 0 if full else 150)
    score = np.array([float(r[2]) for r in rows])
    ids = [tokenise([r[side] for r in rows]) for side in (0, 1)]
    width = max(len(line) for side in ids for line in side)
    path = compare.network_path("minilm.onnx")
    session = oracle.ort_session(path, threads=2)
    embeddings = []
    for side in ids:
        for line in side:
            tokens = np.array([line], np.int64)
            feeds = {"input_ids": tokens, "attention_mask": np.ones_like(tokens), "token_type_ids": np.zeros_like(tokens)}
            embeddings.append(session.run(None, feeds)[0][0].astype(np.float64))
    a, b = np.array(embeddings[: len(rows)]), np.array(embeddings[len(rows) :])
    cosine = (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)
    arrays = {"score": score}
    for side, letter in zip(ids, "ab"):
        tokens, mask = padded(side, width)
        arrays |= {f"input_ids_{letter}": tokens, f"attention_mask_{letter}": mask, f"token_type_ids_{letter}": tokens * 0}
    with tempfile.TemporaryDirectory(dir=oracle.work_folder()) as work:
        np.savez(f"{work}/pairs.npz", **arrays)
        report = oracle.sumi_json("eval", path, "--data", f"{work}/pairs.npz", "--trim", "attention_mask", "--threads", "2",
                                  timeout=3600)  # fmt: skip
    figures = {"ONNX Runtime": 100 * spearman(cosine, score), "sumi": 100 * report["spearman"]}
    return judge("stsb", figures, len(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("task", nargs="+", choices=["cifar10", "int8", "imagenet", "stsb"])
    parser.add_argument("--full", action="store_true")
    options = parser.parse_args()
    oracle.shared()
    tasks = {"cifar10": cifar10, "int8": int8, "imagenet": imagenet, "stsb": stsb}
    agreed = [tasks[task](options.full) for task in options.task]
    sys.exit(0 if all(agreed) else 1)


if __name__ == "__main__":
    main()
