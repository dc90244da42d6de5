#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The training step of `dodeca train`, written plainly for PyTorch, to be timed beside it.

GPT-2 with learned positions, pre-norm, GELU in its tanh form and a tied embedding; FP32; AdamW with
decay on matrices alone; clipping of the global norm. Reads the same token shards and can print a
JSON object per step with the keys that `dodeca train --json` has, then one for the whole. Refuses to
be a trainer: there is no schedule, no validation and no checkpoint.
"""
import argparse
import array
import ctypes
import json
import math
import os
import random
import re
import statistics
import sys
import time

SHAPES = {  # L, NH, C, V, T_max: as core/data/config.c has them
    "nano": (4, 4, 128, 256, 64),
    "micro": (4, 8, 256, 512, 128),
    "gpt2-124M": (12, 12, 768, 50257, 1024),
}
SHARD_MAGIC, SHARD_VERSION, SHARD_HEADER_WORDS = 20240520, 1, 256


def options():
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--shape", choices=SHAPES, default="micro", help="model (default micro)")
    p.add_argument("--batch", type=int, default=8, help="sequences per step (default 8)")
    p.add_argument("--seq", type=int, default=0, help="tokens per sequence (default: the shape's T)")
    p.add_argument("--steps", type=int, default=20, help="steps in all (default 20)")
    p.add_argument("--warm", type=int, default=3, help="of these, left out of the median (default 3)")
    p.add_argument("--threads", type=int, default=1, help="threads of PyTorch and of its BLAS (default 1)")
    p.add_argument("--lr", type=float, default=0.001, help="learning rate, the same in every step (default 0.001)")
    p.add_argument("--seed", type=int, default=1, help="of weights and of random tokens (default 1)")
    p.add_argument("--data", metavar="FILE", help="token shard to train on (default: random tokens)")
    p.add_argument("--write-shard", metavar="FILE", help="only write a shard of 131,072 random tokens; needs no torch")
    p.add_argument("--json", action="store_true", help="one JSON object per step, then one for the whole")
    o = p.parse_args()
    o.L, o.NH, o.C, o.V, o.T_max = SHAPES[o.shape]
    o.seq = o.seq or o.T_max
    if not (0 < o.seq <= o.T_max and o.batch > 0 and o.threads > 0 and 0 <= o.warm < o.steps):
        p.error(f"wanted: 1 to {o.T_max} tokens of --seq, a --batch and --threads of 1 or more, --warm below --steps")
    return o


def random_tokens(o, n):
    draw = random.Random(o.seed)
    return array.array("H", (draw.randrange(o.V) for _ in range(n)))


def write_shard(path, tokens):
    header = array.array("i", [SHARD_MAGIC, SHARD_VERSION, len(tokens)] + [0] * (SHARD_HEADER_WORDS - 3))
    if sys.byteorder == "big":
        header.byteswap()
        tokens.byteswap()
    with open(path, "wb") as f:
        header.tofile(f)
        tokens.tofile(f)


def read_shard(path):
    with open(path, "rb") as f:
        words = array.array("i", f.read(4 * SHARD_HEADER_WORDS))
        tokens = array.array("H", f.read())
    if sys.byteorder == "big":
        words.byteswap()
        tokens.byteswap()
    if words[:3].tolist() != [SHARD_MAGIC, SHARD_VERSION, len(tokens)]:
        sys.exit(f"torch_step.py: {path} is no token shard of version {SHARD_VERSION}, or not whole")
    return tokens


o = options()
if o.write_shard:
    write_shard(o.write_shard, random_tokens(o, 1 << 17))
    sys.exit(0)
# Read by the libraries when they are loaded, hence before the import; PyTorch tells its BLAS
# nothing.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "BLIS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[name] = str(o.threads)
try:
    import torch
    from torch import nn
    from torch.nn import functional as F
except ImportError as e:
    print(f"torch_step.py: {e}; Debian has PyTorch in python3-torch", file=sys.stderr)
    sys.exit(3)


class Block(nn.Module):
    def __init__(self, NH, C):
        super().__init__()
        self.NH = NH
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.qkv, self.attproj = nn.Linear(C, 3 * C), nn.Linear(C, C)
        self.fc, self.fcproj = nn.Linear(C, 4 * C), nn.Linear(4 * C, C)

    def attention(self, x, future):
        B, T, C = x.shape
        q, k, v = (y.view(B, T, self.NH, C // self.NH).transpose(1, 2) for y in self.qkv(x).split(C, dim=2))
        a = (q @ k.transpose(2, 3)) * (1 / math.sqrt(C // self.NH))
        a = F.softmax(a.masked_fill(future, -math.inf), dim=3)
        return self.attproj((a @ v).transpose(1, 2).reshape(B, T, C))

    def forward(self, x, future):
        x = x + self.attention(self.ln1(x), future)
        return x + self.fcproj(F.gelu(self.fc(self.ln2(x)), approximate="tanh"))


class GPT2(nn.Module):
    def __init__(self, L, NH, C, V, T_max):
        super().__init__()
        self.wte, self.wpe = nn.Embedding(V, C), nn.Embedding(T_max, C)
        self.blocks = nn.ModuleList(Block(NH, C) for _ in range(L))
        self.lnf = nn.LayerNorm(C)
        for name, p in self.named_parameters():
            if name.endswith("proj.weight"):
                nn.init.normal_(p, std=0.02 / math.sqrt(2 * L))
            elif p.dim() == 2:
                nn.init.normal_(p, std=0.02)
            elif name.endswith("bias"):
                nn.init.zeros_(p)

    def forward(self, tokens, targets):
        T = tokens.shape[1]
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        x = self.wte(tokens) + self.wpe(torch.arange(T))
        for block in self.blocks:
            x = block(x, future)
        logits = self.lnf(x) @ self.wte.weight.t()
        return F.cross_entropy(logits.flatten(0, 1), targets.flatten())


def blas_in_use():
    with open("/proc/self/maps") as maps:
        found = {line.split()[-1] for line in maps if re.search(r"/lib(open)?(blas|blis|mkl_rt)[^/]*$", line)}
    return " and ".join(sorted(os.path.basename(os.path.realpath(path)) for path in found)) or "unknown"


def blas_core():
    """For which CPU OpenBLAS took its kernels: "Prescott" where it does not know this one."""
    try:
        name = ctypes.CDLL("libopenblas.so.0").openblas_get_corename
    except (OSError, AttributeError):
        return "unknown"
    name.restype = ctypes.c_char_p
    return name().decode()


def main():
    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    model = GPT2(o.L, o.NH, o.C, o.V, o.T_max)
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.dim() == 2], "weight_decay": 0.1},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0},
    ]
    adam = torch.optim.AdamW(groups, lr=o.lr, betas=(0.9, 0.95), eps=1e-8)

    window = o.seq + 1
    data = read_shard(o.data) if o.data else random_tokens(o, o.batch * o.steps * o.seq + 1)
    data = torch.tensor(data, dtype=torch.int64)
    n_windows = (len(data) - 1) // o.seq
    if n_windows < o.batch or int(data.max()) >= o.V:
        sys.exit("torch_step.py: the data holds too few tokens for one step, or a token that the shape does not have")

    times_ms = []
    for step in range(o.steps):
        begin_ns = time.monotonic_ns()
        first = [(step * o.batch + b) % n_windows * o.seq for b in range(o.batch)]
        batch = torch.stack([data[i : i + window] for i in first])
        loss = model(batch[:, :-1], batch[:, 1:])
        adam.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(parameters, 1.0, error_if_nonfinite=True)
        adam.step()
        wall_ns = time.monotonic_ns() - begin_ns
        times_ms.append(wall_ns / 1e6)
        if o.json:
            print(json.dumps({"step": step, "loss": loss.item(), "norm": norm.item(), "wall_ns": wall_ns}), flush=True)
        else:
            print(f"step {step}  loss {loss.item():.4f}  {times_ms[-1]:.2f} ms", flush=True)

    whole = {
        "final": True,
        "parameters": sum(p.numel() for p in parameters),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "blas": blas_in_use(),
        "blas_core": blas_core(),
        "cpu_capability": re.search(r"CPU capability usage: (\S+)", torch.__config__.show()).group(1),
        "median_ms": statistics.median(times_ms[o.warm :]),
    }
    if o.json:
        print(json.dumps(whole))
    else:
        print("\n".join(f"{key:<16} {value}" for key, value in whole.items() if key != "final"))


main()
