"""What PyTorch's gumbel_softmax gives for draws of this engine: `python docs/oracle/gumbel_softmax.py`.

Reads the draws from gumbel_softmax.json, computes the four prices' cost and its gradient from them, prints both, and
writes them, with the samples, into the same file. The test in tests/suite/oracle.rs compares the engine with that file.
Needs PyTorch alone.
"""

import json
from pathlib import Path
from unittest import mock

import torch
import torch.nn.functional as F

PRICES, TAU = [3.0, 1.0, 2.0, 5.0], 0.5
LOGITS = [[0.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.5, -1.0]]


def clocks(draws):
    """Exponential numbers of rate 1 for draws of 32 bits; a draw x stands for the number v = (x + 1/2) / 2^32."""
    v = (torch.tensor(draws, dtype=torch.float64) + 0.5) * 2.0**-32
    return (-torch.log1p(-v)).float()


def gumbel_softmax(logits, draws, hard):
    """F.gumbel_softmax itself, which takes its noise from `exponential_`; here that gives it ours."""
    with mock.patch.object(torch.Tensor, "exponential_", lambda tensor: tensor.copy_(clocks(draws))):
        return F.gumbel_softmax(logits, tau=TAU, hard=hard)


def run(values, draws, hard):
    logits = torch.tensor(values, requires_grad=True)
    samples = gumbel_softmax(logits.expand(len(draws), 4), draws, hard)
    cost = (samples * torch.tensor(PRICES)).sum(1).mean()
    cost.backward()
    print(f"logits {values}, hard={hard}: cost {cost.item():.4f}, dlogits {[round(d, 4) for d in logits.grad.tolist()]}")
    return {"cost": cost.item(), "dlogits": logits.grad.tolist(), "samples": samples.tolist()}


def text(value, depth=0):
    """JSON with one row of numbers a line."""
    flat = not isinstance(value, (dict, list)) or isinstance(value, list) and not isinstance(value[0], (dict, list))
    if flat:
        return json.dumps(value)
    names = [json.dumps(name) + ": " for name in value] if isinstance(value, dict) else [""] * len(value)
    parts = value.values() if isinstance(value, dict) else value
    lines = ["  " * (depth + 1) + name + text(part, depth + 1) for name, part in zip(names, parts)]
    ends = "{}" if isinstance(value, dict) else "[]"
    return ends[0] + "\n" + ",\n".join(lines) + "\n" + "  " * depth + ends[1]


path = Path(__file__).with_suffix(".json")
draws = json.loads(path.read_text())["draws"]
cases = [{"logits": x, "relaxed": run(x, draws, False), "straight_through": run(x, draws, True)} for x in LOGITS]
oracle = {"torch": torch.__version__.split("+")[0], "prices": PRICES, "tau": TAU, "cases": cases, "draws": draws}
path.write_text(text(oracle) + "\n")
