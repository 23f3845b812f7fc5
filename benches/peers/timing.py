"""Parts shared by the peers in Python: arguments, works, timing as in `reparam bench`, and the lines they print."""

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from typing import NamedTuple


def size(text):
    rows, classes = text.split("x")
    return int(rows), int(classes)


def widths(text):
    return [int(width) for width in text.split(",") if width != "-"]


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--group", choices=["kernels", "steps"], required=True)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True, help="for one measurement")
    parser.add_argument("--sizes", type=size, nargs="+", required=True, help="of relaxed samples, ROWSxCLASSES")
    parser.add_argument("--vocabulary", type=size, required=True, help="of class indices, ROWSxCLASSES")
    parser.add_argument("--hidden", type=widths, nargs="+", required=True, help="hidden layers of the VAEs")
    return parser.parse_args()


class Work(NamedTuple):
    """A row of the comparison. Its time is the sum of the times of its calls, each measured alone."""

    peer: str
    kernel: str
    pass_name: str
    calls: list[Callable]
    rows: int = 0
    classes: int = 0


def model_name(hidden):
    return "vae " + (",".join(map(str, hidden)) or "-")


def time_call(call, seconds):
    """Median time of a call in seconds, over samples of at least 0.1 ms, after two calls to warm up."""
    call()
    begin = time.perf_counter()
    call()
    calls = int(1e-4 / (time.perf_counter() - begin)) + 1
    samples = []
    begin = time.perf_counter()
    while len(samples) < 7 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(calls):
            call()
        samples.append((time.perf_counter() - start) / calls)
    return statistics.median(samples)


def report(work, args):
    seconds = sum(time_call(call, args.seconds / len(work.calls)) for call in work.calls)
    line = {"peer": work.peer, "kernel": work.kernel, "pass": work.pass_name, "threads": args.threads}
    elements = work.rows * work.classes
    if elements:
        line |= {"rows": work.rows, "classes": work.classes, "ns_per_element": seconds * 1e9 / elements}
    else:
        line["us_per_step"] = seconds * 1e6
    print(json.dumps(line))


def serve(works, args):
    """Prepares all works, which compiles them, and prints an empty line. Then each line on stdin asks for a round: a
    line for each work, and an empty one."""
    for work in works:
        for call in work.calls * 3:
            call()
    print(flush=True)
    for _ in sys.stdin:
        for work in works:
            report(work, args)
        print(flush=True)
