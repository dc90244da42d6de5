#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Model files as a program sees them that shares no line with dodeca: written by dodeca and read here, and the other
way round, with Python's own modules. usage: formats_test.py PROGRAM FOLDER; exits 1 where files are not alike."""
import array
import json
import random
import struct
import subprocess
import sys

program, folder = sys.argv[1:]
L, NH, C, V, T = 2, 3, 12, 37, 8


def dodeca(*arguments):
    return subprocess.run([program, *arguments], cwd=folder, check=True, capture_output=True, text=True).stdout


def demand(condition, what):
    if not condition:
        sys.exit(f"FAIL: {what}")


def hub_tensors():
    """Names and shapes as GPT-2 has them on model hubs: linear weights are (in, out)."""
    yield "wte.weight", (V, C)
    yield "wpe.weight", (T, C)
    for layer in range(L):
        for name, shape in (
            ("ln_1.weight", (C,)), ("ln_1.bias", (C,)),
            ("attn.c_attn.weight", (C, 3 * C)), ("attn.c_attn.bias", (3 * C,)),
            ("attn.c_proj.weight", (C, C)), ("attn.c_proj.bias", (C,)),
            ("ln_2.weight", (C,)), ("ln_2.bias", (C,)),
            ("mlp.c_fc.weight", (C, 4 * C)), ("mlp.c_fc.bias", (4 * C,)),
            ("mlp.c_proj.weight", (4 * C, C)), ("mlp.c_proj.bias", (C,)),
        ):
            yield f"h.{layer}.{name}", shape
    yield "ln_f.weight", (C,)
    yield "ln_f.bias", (C,)


def size(shape):
    n = 1
    for d in shape:
        n *= d
    return n


def read_safetensors(path):
    with open(path, "rb") as f:
        data = f.read()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + length])
    metadata = header.pop("__metadata__")
    tensors = {}
    for name, about in header.items():
        begin, end = about["data_offsets"]
        demand(about["dtype"] == "F32", f"{name} is {about['dtype']}")
        values = array.array("f", data[8 + length + begin:8 + length + end])
        demand(len(values) == size(about["shape"]), f"{name} has {len(values)} values")
        tensors[name] = (tuple(about["shape"]), values)
    demand(8 + length + max(a["data_offsets"][1] for a in header.values()) == len(data), "bytes are left over")
    return metadata, tensors


def write_safetensors(path, tensors, code, dtype, prefix, more):
    header, data = {}, b""
    for name, (shape, values) in tensors.items():
        part = struct.pack(f"<{len(values)}{code}", *values)
        header[prefix + name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    for name, (dtype_, shape, part) in more.items():
        header[name] = {"dtype": dtype_, "shape": shape, "data_offsets": [len(data), len(data) + len(part)]}
        data += part
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def read_llmc(path):
    """As llm.c's loader walks through the file; tensors under the hub's names, in the hub's layout."""
    with open(path, "rb") as f:
        words = struct.unpack("<256i", f.read(1024))
        values = array.array("f", f.read())
    demand(words[:8] == (20240326, 3, T, V, L, NH, C, 128) and not any(words[8:]), f"header {words[:10]}")
    out, at = {}, 0

    def take(n):
        nonlocal at
        at += n
        return values[at - n:at]

    def linear(outputs, inputs):
        w = take(outputs * inputs)
        return array.array("f", (w[o * inputs + i] for i in range(inputs) for o in range(outputs)))

    wte = take(128 * C)
    demand(not any(wte[V * C:]), "rows of padding are not zeros")
    out["wte.weight"] = wte[:V * C]
    out["wpe.weight"] = take(T * C)
    for name, get in (
        ("ln_1.weight", lambda: take(C)), ("ln_1.bias", lambda: take(C)),
        ("attn.c_attn.weight", lambda: linear(3 * C, C)), ("attn.c_attn.bias", lambda: take(3 * C)),
        ("attn.c_proj.weight", lambda: linear(C, C)), ("attn.c_proj.bias", lambda: take(C)),
        ("ln_2.weight", lambda: take(C)), ("ln_2.bias", lambda: take(C)),
        ("mlp.c_fc.weight", lambda: linear(4 * C, C)), ("mlp.c_fc.bias", lambda: take(4 * C)),
        ("mlp.c_proj.weight", lambda: linear(C, 4 * C)), ("mlp.c_proj.bias", lambda: take(C)),
    ):
        for layer in range(L):
            out[f"h.{layer}.{name}"] = get()
    out["ln_f.weight"] = take(C)
    out["ln_f.bias"] = take(C)
    demand(at == len(values), "values are left over")
    return out


def same(a, b):
    return a.tobytes() == b.tobytes()


# ---- written by dodeca, read here
dodeca("train", "--data", "builtin", "--model", f"L={L},NH={NH},C={C},V=64,T={T}", "--steps", "2", "--save", "run.ckpt")
V = 64
dodeca("convert", "run.ckpt", "own.safetensors")
dodeca("convert", "run.ckpt", "own.bin")
metadata, tensors = read_safetensors(f"{folder}/own.safetensors")
demand(metadata["format"] == "pt" and metadata["n_head"] == str(NH), f"metadata {metadata}")
demand({n: s for n, (s, _) in tensors.items()} == dict(hub_tensors()), "names or shapes are not GPT-2's")
llmc = read_llmc(f"{folder}/own.bin")
for name, (_, values) in tensors.items():
    demand(same(values, llmc[name]), f"{name} is not the same in both formats")

# ---- written here as hubs have it, in each type, read by dodeca
V = 37
random.seed(1)
for dtype, code in (("F16", "e"), ("F32", "f"), ("BF16", "H")):
    made, expected = {}, {}
    for name, shape in hub_tensors():
        if dtype == "BF16":
            values = [random.randrange(0x7f80) | random.randrange(2) << 15 for _ in range(size(shape))]
            wide = array.array("f", struct.pack(f"<{len(values)}I", *(v << 16 for v in values)))
        else:
            values = [random.gauss(0, 1) for _ in range(size(shape))]
            values = list(struct.unpack(f"<{len(values)}{code}", struct.pack(f"<{len(values)}{code}", *values)))
            wide = array.array("f", values)
        made[name] = (shape, values)
        expected[name] = wide
    tied = struct.pack(f"<{V * C}{code}", *made["wte.weight"][1])
    more = {"transformer.h.0.attn.bias": ("BOOL", (1, 1, T, T), bytes(T * T)),
            "transformer.h.1.attn.masked_bias": ("F32", (), bytes(4)),
            "lm_head.weight": (dtype, (V, C), tied)}
    write_safetensors(f"{folder}/hub.safetensors", made, code, dtype, "transformer.", more)
    with open(f"{folder}/config.json", "w", encoding="utf-8") as f:
        json.dump({"model_type": "gpt2", "n_head": NH, "n_layer": L, "n_embd": C, "vocab_size": V, "n_positions": T,
                   "layer_norm_epsilon": 1e-05, "activation_function": "gelu_new"}, f)
    dodeca("convert", "hub.safetensors", "hub.bin", "--force")
    got = read_llmc(f"{folder}/hub.bin")
    for name, values in expected.items():
        demand(same(values, got[name]), f"{name} in {dtype} is not what was written")

print("formats: an independent reader and writer agrees")
