"""What the peers share: arguments, timing as `reparam bench` does it, and the line they print."""

import argparse
import json
import statistics
import time


def size(text):
    rows, classes = text.split("x")
    return int(rows), int(classes)


def arguments():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0.4, help="for one measurement")
    parser.add_argument("--sizes", type=size, nargs="+", default=[(2000, 10), (20000, 10), (1024, 1024), (64, 50257)])
    return parser.parse_args()


def time_call(work, seconds):
    """Median time of a call in seconds, over samples of at least 0.1 ms, after calls that warm up and compile."""
    for _ in range(3):
        work()
    begin = time.perf_counter()
    work()
    calls = int(1e-4 / (time.perf_counter() - begin)) + 1
    samples = []
    begin = time.perf_counter()
    while len(samples) < 7 or time.perf_counter() - begin < seconds:
        start = time.perf_counter()
        for _ in range(calls):
            work()
        samples.append((time.perf_counter() - start) / calls)
    return statistics.median(samples)


def report(peer, kernel, pass_name, threads, seconds, rows=0, classes=0):
    line = {"peer": peer, "kernel": kernel, "pass": pass_name, "threads": threads, "rows": rows, "classes": classes}
    elements = rows * classes
    line["ns_per_element" if elements else "us_per_step"] = seconds * 1e9 / elements if elements else seconds * 1e6
    print(json.dumps(line), flush=True)
