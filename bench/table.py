"""The first table: one line a row, one entry in COLUMNS a column; bench.py's opening text explains them."""

MIB = 2**20


def weights(row):
    return "dense" if row["factor"] == 1 else f"{row['pattern']} 1/{row['factor']}"


def sumi(key, form, unit=1):
    return lambda row: format(row["sumi"][key] / unit, form)


def peer(engine, key, form, unit=1):
    """A figure of a peer; it stands in the dense row only, which is what peers run."""

    def cell(row):
        name = "openvino-f32" if engine == "openvino" and row["precision"] == "float32" else engine
        return format(row["peers"][name][key] / unit, form) if row["factor"] == 1 else "-"

    return cell


def own_bf16(row):
    """OpenVINO's own choice for a float32 network."""
    if row["precision"] != "float32" or row["factor"] > 1:
        return "-"
    return format(row["peers"]["openvino"]["median_ms"], ".3f")


def within_step(row):
    if row["precision"] != "int8":
        return "-"
    both = [row] + [r for r in row["peers"].values() if row["factor"] == 1 and "within_step" in r]
    shares = [f"{100 * r['within_step']:.1f}" for r in both]
    return shares[0] + "".join(f" ({share})" for share in shares[1:]) + " %"


def error(row):
    both = [row] + [r for r in row["peers"].values() if row["factor"] == 1 and "error" in r]
    texts = [f"{r['error']:.1e}" for r in both]
    return texts[0] + "".join(f" ({text})" for text in texts[1:])


# title, width (negative: to the left), the text of a row; what a row lacks is "-"
COLUMNS = [
    ("network", -20, lambda row: row["network"][:20]),
    ("type", -7, lambda row: row["precision"]),
    ("weights", -9, weights),
    ("|", 1, lambda row: "|"),
    ("sumi ms", 8, sumi("median_ms", ".3f")),
    ("ort", 8, peer("onnxruntime", "median_ms", ".3f")),
    ("ov", 8, peer("openvino", "median_ms", ".3f")),
    ("ov-bf16", 8, own_bf16),
    ("ratio", 6, lambda row: format(row["ratio"], ".2f")),
    ("least", 6, lambda row: format(row["ratio_of_least"], ".2f")),
    ("|", 1, lambda row: "|"),
    ("load ms", 7, sumi("load_ms", ".1f")),
    ("prepare", 7, sumi("prepare_ms", ".1f")),
    ("ort", 6, peer("onnxruntime", "load_ms", ".0f")),
    ("ov", 6, peer("openvino", "load_ms", ".0f")),
    ("|", 1, lambda row: "|"),
    ("peak MB", 7, sumi("peak_rss_bytes", ".0f", MIB)),
    ("ort", 5, peer("onnxruntime", "own_bytes", ".0f", MIB)),
    ("ov", 5, peer("openvino", "own_bytes", ".0f", MIB)),
    ("|", 1, lambda row: "|"),
    ("error", -17, error),
    ("1 step", -14, within_step),
]


def padded(texts):
    pairs = zip(COLUMNS, texts)
    return " ".join(t.ljust(-width) if width < 0 else t.rjust(width) for (_, width, _), t in pairs)


def head():
    return padded(title for title, _, _ in COLUMNS)


def line(row):
    def cell(function):
        try:
            return function(row)
        except KeyError:
            return "-"

    text = padded(cell(function) for _, _, function in COLUMNS)
    return text + (f"\n    {row['refused']}" if "refused" in row else "")
