"""The peers' side of the comparison in PyTorch: eager and torch.compile. Prints one JSON object a line."""

import torch
import torch.nn.functional as F

from timing import arguments, report, time_call

ARGS = arguments()
torch.set_num_threads(ARGS.threads)
TAU = 0.5


def gumbel_softmax(x):
    return F.gumbel_softmax(x, tau=TAU, dim=-1)


def binary_concrete(x):
    u = torch.rand_like(x)
    return torch.sigmoid((x + torch.log(u) - torch.log1p(-u)) / TAU)


def kernels(variant, wrap):
    for name, op in [("gumbel_softmax", gumbel_softmax), ("binary_concrete", binary_concrete)]:
        for rows, classes in ARGS.sizes:
            op_here = wrap(op)
            x = torch.randn(rows, classes, requires_grad=True)
            dy = torch.randn(rows, classes)

            def forward():
                with torch.no_grad():
                    op_here(x)

            def both():
                x.grad = None
                op_here(x).backward(dy)

            for pass_name, work in [("forward", forward), ("forward_backward", both)]:
                report(variant, name, pass_name, ARGS.threads, time_call(work, ARGS.seconds), rows, classes)


def sampling(variant, wrap):
    """Class indices without a gradient, from logits."""
    rows, classes = 8, 131072
    sample = wrap(lambda x: torch.multinomial(torch.softmax(x, -1), 1))
    x = torch.randn(rows, classes)
    seconds = time_call(lambda: sample(x), ARGS.seconds)
    report(variant, "gumbel_max", "forward", ARGS.threads, seconds, rows, classes)


def net(sizes):
    layers = []
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        layers.append(torch.nn.Linear(inputs, outputs))
        if i + 2 < len(sizes):
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def vae_step(variant, wrap, hidden, batch=100):
    sizes = [784, *hidden, 200]
    encoder, decoder = net(sizes), net(sizes[::-1])
    x = (torch.rand(batch, 784) < 0.13).float()
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True)

    def loss():
        logits = encoder(x).view(-1, 10)
        z = gumbel_softmax(logits).view(batch, 200)
        nll = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        log_q = F.log_softmax(logits, dim=-1)
        kl = (log_q.exp() * (log_q + torch.log(torch.tensor(10.0)))).sum()
        return (nll + kl) / batch

    loss = wrap(loss)

    def step():
        adam.zero_grad()
        loss().backward()
        adam.step()

    report(variant, "vae " + ",".join(map(str, hidden or ["-"])), "step", ARGS.threads, time_call(step, ARGS.seconds * 3))


def main():
    compiled = lambda op: torch.compile(op, dynamic=False)
    for variant, wrap in [("pytorch", lambda op: op), ("pytorch compiled", compiled)]:
        torch._dynamo.reset()
        kernels(variant, wrap)
        sampling(variant, wrap)
        for hidden in [[], [512, 256]]:
            vae_step(variant, wrap, hidden)


main()
