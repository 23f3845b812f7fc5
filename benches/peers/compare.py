#!/usr/bin/env python3
"""Runs the same work in reparam, PyTorch, JAX and candle, one after another, and prints a table of ratios.

    python3 benches/peers/compare.py [--threads 1] [--seconds 0.4]

It makes a virtual environment in target/peers and installs the versions of requirements.txt there (some gigabytes). A
peer that cannot be installed or fails is named as missing, with the reason.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
TARGET = ROOT / "target" / "peers"
# Sampling indices is compared on a vocabulary of its own.
VOCABULARY = "8x131072"
SIZES = ["2000x10", "20000x10", "1024x1024", "64x50257"]


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines() or ["no message"]
        raise RuntimeError(lines[-1])
    return done.stdout


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def ours(args):
    run(["cargo", "build", "--release"], cwd=ROOT)
    found = []
    for size in [*SIZES, VOCABULARY]:
        out = TARGET / "kernels.jsonl"
        flags = ["--threads", args.threads, "--size", size, "--json", out]
        run([ROOT / "target/release/reparam", "bench", "kernels", *flags], cwd=ROOT)
        wanted = lambda line: (line["kernel"] == "gumbel_max") == (size == VOCABULARY)
        found += [line for line in lines(out.read_text()) if line["variant"] == "fused" and wanted(line)]
    out = TARGET / "step.jsonl"
    run([ROOT / "target/release/reparam", "bench", "step", "--threads", args.threads, "--json", out], cwd=ROOT)
    for line in lines(out.read_text()):
        if line["model"] == "vae" and line["batch"] == 100:
            kernel = "vae " + (",".join(map(str, line["hidden"])) or "-")
            found.append({"kernel": kernel, "pass": "step", "us_per_step": line["us_per_step"]})
    return [line | {"peer": "reparam"} for line in found]


def python_with(requirement):
    """The virtual environment's Python, with one line of the requirements installed."""
    venv = TARGET / "venv"
    if not venv.exists():
        run([sys.executable, "-m", "venv", venv])
    wanted = [line for line in (HERE / "requirements.txt").read_text().splitlines() if line.startswith(requirement)]
    run([venv / "bin/pip", "install", "--quiet", *wanted])
    return venv / "bin/python"


def python_peer(name, requirement):
    def measure(args):
        python = python_with(requirement)
        flags = ["--threads", args.threads, "--seconds", args.seconds, "--sizes", *SIZES]
        threads = {"OMP_NUM_THREADS": str(args.threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        return lines(run([python, HERE / f"{name}_peer.py", *flags], env=os.environ | threads))

    return measure


def candle(args):
    build = TARGET / "candle"
    run(["cargo", "build", "--release", "--manifest-path", HERE / "candle/Cargo.toml", "--target-dir", build])
    return lines(run([build / "release/candle-peer", args.threads, args.seconds]))


def figure(line):
    return line.get("ns_per_element", line.get("us_per_step"))


def print_table(found, peers):
    table = {}
    for line in found:
        size = f'{line["rows"]} x {line["classes"]}' if line.get("rows") else "us a step"
        table.setdefault((line["kernel"], line["pass"], size), {})[line["peer"]] = figure(line)
    rows = {key: row for key, row in table.items() if "reparam" in row and len(row) > 1}
    print("| work | size | reparam | " + " | ".join(peers) + " | best peer / reparam |")
    print("| --- | --- | --- |" + " --- |" * len(peers) + " --- |")
    for (kernel, pass_name, size), row in rows.items():
        cells = [f"{row[peer]:.2f}" if peer in row else "" for peer in peers]
        best = min(value for peer, value in row.items() if peer != "reparam")
        name = f"{kernel}, {pass_name.replace('_', ' + ')}"
        print(f"| {name} | {size} | {row['reparam']:.2f} | " + " | ".join(cells) + f" | {best / row['reparam']:.1f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.4, help="for one measurement of a peer; ours takes its own time")
    args = parser.parse_args()
    TARGET.mkdir(parents=True, exist_ok=True)
    found, missing = [], []
    peers = {"reparam": ours, "pytorch": python_peer("torch", "torch"), "jax": python_peer("jax", "jax"), "candle": candle}
    for name, measure in peers.items():
        print(f"... {name}", file=sys.stderr, flush=True)
        try:
            found += measure(args)
        except (RuntimeError, OSError) as problem:
            missing.append(f"missing: {name}: {problem}")
    (TARGET / f"peers-{args.threads}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in found))
    names = list(dict.fromkeys(line["peer"] for line in found if line["peer"] != "reparam"))
    print(f"{args.threads} thread(s); nanoseconds per element, medians\n")
    print_table(found, names)
    print("\n".join(missing))


if __name__ == "__main__":
    main()
