#!/usr/bin/env python3
"""Runs the same work in reparam, PyTorch, JAX and candle, in turn, and prints a table of medians and ratios.

    python3 benches/peers/compare.py [--threads 1,2] [--only kernels] [--only steps] [--rounds 5] [--quick]

It makes a virtual environment in target/peers and installs the versions of requirements.txt there (some gigabytes).
All programs run on the same CPUs, as many as there are threads, one program at a time. In each round every program
measures every row once. The table gives the median over the rounds, the least and the greatest; a ratio is a peer's
time over ours in the same round. A peer that cannot be installed or fails is named as missing, with the reason.

The rows "products" time the matrix products of a step at batch 100, each alone. Every layer has one for the forward
pass and one for the gradient of the weight, and every layer but the first has one for the gradient of the input. For
784-512-256-(20 x 10) and back these are 17 products. The first layer's two are dense here; in our step they are
sparse products of bits.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
BUILD = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
TARGET = ROOT / "target" / "peers"
GROUPS = {"kernels": "nanoseconds per element", "steps": "microseconds"}
SIZES = ["2000x10", "20000x10", "1024x1024", "64x50257"]
# Sampling indices is compared on its own vocabulary.
VOCABULARY = "8x131072"
HIDDEN = ["-", "512,256"]
FASTEST = "fastest peer of each round"


def run(command, **options):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(last_line(done.stderr or done.stdout))
    return done.stdout


def last_line(text):
    return (text.strip().splitlines() or ["no message"])[-1]


def lines(text):
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def pin(cpus):
    """Keeps this process and those it starts on some CPUs, where the system can do so. Thread pools that ask how many
    CPUs there are, as XLA's does, then take that number as their size."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, cpus)


def reparam_bench(threads, *flags):
    out = TARGET / "reparam.jsonl"
    run([BUILD / "release/reparam", "bench", *flags, "--quick", "--threads", threads, "--json", out], cwd=ROOT)
    return lines(out.read_text())


def our_kernels(threads):
    for size in [*SIZES, VOCABULARY]:
        for line in reparam_bench(threads, "kernels", "--size", size):
            if line["variant"] == "fused" and (line["kernel"] == "gumbel_max") == (size == VOCABULARY):
                yield line


def our_steps(threads):
    for line in reparam_bench(threads, "step"):
        hidden = ",".join(map(str, line["hidden"])) or "-"
        if line["model"] == "vae" and line["batch"] == 100 and hidden in HIDDEN:
            model = {"kernel": f"vae {hidden}", "threads": threads, "tier": line["tier"]}
            yield model | {"pass": "step", "us_per_step": line["us_per_step"]}
            yield model | {"pass": "products", "us_per_step": line["gemm_us_per_step"]}


# Each program is a generator: it prepares itself, yields, and then yields the lines of one round each time.


def ours(args, group, threads):
    measure = {"kernels": our_kernels, "steps": our_steps}[group]
    yield
    while True:
        yield [line | {"peer": "reparam"} for line in measure(threads)]


def python_peer(name):
    def rounds(args, group, threads):
        flags = ["--group", group, "--threads", threads, "--seconds", args.seconds]
        flags += ["--sizes", *SIZES, "--vocabulary", VOCABULARY, "--hidden", *HIDDEN]
        command = [str(part) for part in [TARGET / "venv/bin/python", HERE / f"{name}_peer.py", *flags]]
        environment = os.environ | {"OMP_NUM_THREADS": str(threads), "TORCHINDUCTOR_COMPILE_THREADS": "1"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        log = TARGET / f"{name}.log"
        with log.open("w") as errors, subprocess.Popen(command, env=environment, stderr=errors, **pipes) as child:
            answer(child, log)
            yield
            while True:
                child.stdin.write("\n")
                child.stdin.flush()
                yield answer(child, log)

    return rounds


def answer(child, log):
    """The lines that a child prints, up to an empty one."""
    text = ""
    for line in child.stdout:
        if line == "\n":
            return lines(text)
        text += line
    raise RuntimeError(last_line(log.read_text()))


def candle(args, group, threads):
    yield
    while True:
        yield lines(run([TARGET / "candle/release/candle-peer", group, threads, args.seconds]))


def install_python(requirement):
    """Installs one line of the requirements into the virtual environment."""
    venv = TARGET / "venv"
    if not venv.exists():
        run([sys.executable, "-m", "venv", venv])
    wanted = [line for line in (HERE / "requirements.txt").read_text().splitlines() if line.startswith(requirement)]
    run([venv / "bin/pip", "install", "--quiet", *wanted])


def build_ours():
    run(["cargo", "build", "--release"], cwd=ROOT)


def build_candle():
    manifest = HERE / "candle/Cargo.toml"
    run(["cargo", "build", "--release", "--manifest-path", manifest, "--target-dir", TARGET / "candle"])


# The installation of each program, and its measurement.
PROGRAMS = {
    "reparam": (build_ours, ours),
    "torch": (lambda: install_python("torch"), python_peer("torch")),
    "jax": (lambda: install_python("jax"), python_peer("jax")),
    "candle": (build_candle, candle),
}


def each(names, what, work):
    """Calls `work(name)` for one program after another. One that fails is named as missing and dropped."""
    for name in list(names):
        print(f"... {what}: {name}", file=sys.stderr, flush=True)
        try:
            work(name)
        except (RuntimeError, OSError) as problem:
            names.remove(name)
            print(f"missing: {name}: {problem}", flush=True)


def measure(args, names, group, threads):
    """The lines of all rounds of one group of rows."""
    running, found = {}, []

    def begin(name):
        running[name] = PROGRAMS[name][1](args, group, threads)
        next(running[name])

    def measure_once(name):
        found.extend(line | {"round": number} for line in next(running[name]))

    each(names, "preparing", begin)
    for number in range(1, args.rounds + 1):
        each(names, f"{group}, {threads} thread(s), round {number} of {args.rounds}", measure_once)
    for program in running.values():
        program.close()
    return found


def work_name(line):
    name = f'{line["kernel"]}, {line["pass"].replace("_", " + ")}'
    return f'{name}, {line["rows"]} x {line["classes"]}' if line.get("rows") else name


def figure(line):
    return line.get("ns_per_element", line.get("us_per_step"))


def cells(values):
    """The median, and the least and the greatest."""
    text = lambda value: f"{value:.0f}" if value >= 1000 else f"{value:.2f}"
    return [text(statistics.median(values)), f"{text(min(values))} to {text(max(values))}"]


def rows_of(work, peers):
    """A row for each program and the row of the fastest peers. `peers` has the figures of all rounds for each name."""
    ratios = lambda theirs: [their / our for their, our in zip(theirs, peers["reparam"])]
    # A peer that failed in a later round has fewer figures.
    complete = lambda values: len(values) == len(peers["reparam"])
    others = {name: values for name, values in peers.items() if name != "reparam" and complete(values)}
    if len(others) > 1:
        others[FASTEST] = [min(values) for values in zip(*others.values())]
    yield [work, "reparam", *cells(peers["reparam"]), "", ""]
    for name, values in others.items():
        yield ["", name, *cells(values), *cells(ratios(values))]


def print_table(found):
    works = {}
    for line in found:
        works.setdefault(work_name(line), {}).setdefault(line["peer"], []).append(figure(line))
    rows = [["work", "program", "median", "least to greatest", "times reparam", "least to greatest"]]
    for work, peers in works.items():
        if "reparam" in peers and len(peers) > 1:
            rows += rows_of(work, peers)
    widths = [max(map(len, column)) for column in zip(*rows)]
    rows.insert(1, ["-" * width for width in widths])
    for row in rows:
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")


def numbers(text):
    return [int(number) for number in text.split(",")]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=numbers, default=[1, 2], help="one after another [default: 1,2]")
    parser.add_argument("--only", choices=GROUPS, action="append", help="[default: both]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.2, help="for a measurement of a peer")
    parser.add_argument("--quick", action="store_true", help="one short round, to see that everything works")
    parser.add_argument("--json", type=Path, default=TARGET / "peers.jsonl", help="file for the measurements")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.01
    return args


def main():
    args = arguments()
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(os.cpu_count())
    if max(args.threads) > len(cpus):
        sys.exit(f"--threads {max(args.threads)}: this process may use {len(cpus)} CPU(s) only")
    TARGET.mkdir(parents=True, exist_ok=True)
    names = list(PROGRAMS)
    each(names, "installing", lambda name: PROGRAMS[name][0]())
    found = []
    for threads in args.threads:
        # The last ones, because the first CPU serves most interrupts.
        pin(cpus[-threads:])
        for group in args.only or GROUPS:
            lines_of_group = measure(args, names, group, threads)
            found += lines_of_group
            on = f'{threads} thread(s), CPU {", ".join(map(str, cpus[-threads:]))}'
            print(f"\n{group}, {GROUPS[group]}, {on}, {args.rounds} round(s) in turn\n")
            print_table(lines_of_group)
            args.json.write_text("".join(json.dumps(line) + "\n" for line in found))


if __name__ == "__main__":
    main()
