"""Inputs of the networks: real pictures and sentences for trained weights, seeded numbers for the others.

Every function takes how many samples are wanted and returns name -> array with that many rows; the same call
returns the same samples."""

import csv
import io
import os
import tarfile

import numpy as np

SHARED = os.environ.get("SUMI_SHARED", "../shared")
SEQUENCE = 128


def shared(*parts):
    return os.path.join(SHARED, *parts)


def pixels(tar, member):
    from PIL import Image

    picture = Image.open(io.BytesIO(tar.extractfile(member).read())).convert("RGB")
    return np.asarray(picture, np.float32)


def cifar_images(n):
    """Test images of all classes in turn, [n, 3, 32, 32], 0..255."""
    found = {}
    with tarfile.open(shared("data", "cifar10-jpeg.tar.xz"), "r|xz") as tar:
        for member in tar:
            parts = member.name.split("/")
            if member.isfile() and "test" in parts and len(found.setdefault(parts[-2], [])) <= n // 10:
                found[parts[-2]].append(pixels(tar, member).transpose(2, 0, 1))
    turns = [images[i] for i in range(n // 10 + 1) for _, images in sorted(found.items())]
    return {"image": np.stack(turns[:n])}


def imagenet_images(n):
    """Pictures of n classes, cut to the centre, [n, 3, 224, 224], (x - 127) / 128."""
    with tarfile.open(shared("data", "imagenet-sample-1000-256px.tar")) as tar:
        members = sorted((m for m in tar if m.isfile()), key=lambda m: m.name)
        images = [(pixels(tar, m)[16:240, 16:240] - 127) / 128 for m in members[:: len(members) // n][:n]]
    return {"image": np.stack(images).transpose(0, 3, 1, 2).copy()}


def tokens(ids):
    return {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}


def sentences(n):
    """Texts of exactly SEQUENCE tokens, made of the sentences of STS-B one after the other."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(shared("trained", "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    with open(shared("data", "stsb-en", "train.csv"), newline="", encoding="utf-8") as f:
        texts = [row[0] for row in csv.reader(f)]
    step = len(texts) // n
    joined = [" ".join(texts[i * step : i * step + SEQUENCE]) for i in range(n)]
    return tokens(np.array([tokenizer.encode(text).ids[:SEQUENCE] for text in joined], np.int64))


def random_tokens(n, sequence=SEQUENCE):
    return tokens(np.random.default_rng(1).integers(3, 900, (n, sequence), dtype=np.int64))


def random_images(n):
    return {"image": np.random.default_rng(1).standard_normal((n, 3, 224, 224), dtype=np.float32)}


TYPES = {1: np.float32, 6: np.int32, 7: np.int64, 10: np.float16}


def random_feed(path):
    """A function that feeds any network normal numbers; open dimensions: the batch, then 320."""

    def feed(n):
        import onnx

        graph, out = onnx.load(path, load_external_data=False).graph, {}
        weights = {t.name for t in graph.initializer}
        rng = np.random.default_rng(1)
        for port in (p for p in graph.input if p.name not in weights):
            shape = port.type.tensor_type.shape.dim
            dims = [d.dim_value or (n if k == 0 else 320) for k, d in enumerate(shape)]
            out[port.name] = rng.standard_normal(dims).astype(TYPES[port.type.tensor_type.elem_type])
        return out

    return feed
