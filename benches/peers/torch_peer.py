"""The comparison in PyTorch, eager and torch.compile. Prints one JSON object per line."""

import torch
import torch.nn.functional as F

from timing import Work, arguments, model_name, serve

ARGS = arguments()
torch.set_num_threads(ARGS.threads)
# A function is compiled for each size and with and without gradients. At the limit, PyTorch would stop compiling
# without a word.
torch._dynamo.config.recompile_limit = 64
TAU = 0.5
BATCH = 100
EAGER = f"PyTorch {torch.__version__.split('+')[0]}"


def compiled(**options):
    return lambda op: torch.compile(op, dynamic=False, options=options)


# Kernels have two compiled variants, because neither is always faster. The compiler's noise suits
# Gumbel-Softmax, and eager mode's noise, which fallback_random keeps, suits binary Concrete. cpp_wrapper
# gained 3 to 6 % at 2000 x 10.
KERNELS = [
    (EAGER, lambda op: op),
    (f"{EAGER} compiled (mode=default)", compiled()),
    (f"{EAGER} compiled (fallback_random)", compiled(fallback_random=True)),
]
# The fastest of these for the step 512,256 on one thread of an Intel Xeon, microseconds, medians of three rounds:
# eager 10,353 (foreach Adam 15,904); the loss compiled, fused Adam: cpp_wrapper 7,964, mode=default 8,650,
# max-autotune-no-cudagraphs 9,438, fallback_random 9,555; Adam compiled, too, with a tensor as its rate: 8,575 (the
# foreach one fails to compile); the backward pass and Adam compiled with the loss: 8,354. reduce-overhead is for
# CUDA graphs.
STEPS = [
    (f"{EAGER}, Adam fused=True", lambda op: op),
    (f"{EAGER} compiled (cpp_wrapper), Adam fused=True", compiled(cpp_wrapper=True)),
]


def gumbel_softmax(x):
    return F.gumbel_softmax(x, tau=TAU, dim=-1)


def binary_concrete(x):
    u = torch.rand_like(x)
    return torch.sigmoid((x + torch.log(u) - torch.log1p(-u)) / TAU)


def relaxed_sample(variant, name, op, rows, classes):
    x = torch.randn(rows, classes, requires_grad=True)
    dy = torch.randn(rows, classes)

    def forward():
        with torch.no_grad():
            op(x)

    def both():
        x.grad = None
        op(x).backward(dy)

    for pass_name, call in [("forward", forward), ("forward_backward", both)]:
        yield Work(variant, name, pass_name, [call], rows, classes)


def sampling(variant, wrap):
    """Class indices without a gradient, from logits."""
    sample = wrap(lambda x: torch.multinomial(torch.softmax(x, -1), 1))
    x = torch.randn(*ARGS.vocabulary)
    return Work(variant, "gumbel_max", "forward", [lambda: sample(x)], *ARGS.vocabulary)


def kernels():
    for variant, wrap in KERNELS:
        for op in [gumbel_softmax, binary_concrete]:
            for size in ARGS.sizes:
                yield from relaxed_sample(variant, op.__name__, wrap(op), *size)
        yield sampling(variant, wrap)


def net(sizes):
    layers = []
    for i, (inputs, outputs) in enumerate(zip(sizes, sizes[1:])):
        layers.append(torch.nn.Linear(inputs, outputs))
        if i + 2 < len(sizes):
            layers.append(torch.nn.ReLU())
    return torch.nn.Sequential(*layers)


def vae_step(variant, wrap, hidden):
    sizes = [784, *hidden, 200]
    encoder, decoder = net(sizes), net(sizes[::-1])
    x = (torch.rand(BATCH, 784) < 0.13).float()
    adam = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=1e-3, fused=True)

    def loss():
        logits = encoder(x).view(-1, 10)
        z = gumbel_softmax(logits).view(BATCH, 200)
        nll = F.binary_cross_entropy_with_logits(decoder(z), x, reduction="sum")
        log_q = F.log_softmax(logits, dim=-1)
        kl = (log_q.exp() * (log_q + torch.log(torch.tensor(10.0)))).sum()
        return (nll + kl) / BATCH

    loss = wrap(loss)

    def step():
        adam.zero_grad()
        loss().backward()
        adam.step()

    return Work(variant, model_name(hidden), "step", [step])


def product(m, k, n):
    a, b, c = torch.rand(m, k), torch.rand(k, n), torch.empty(m, n)
    return lambda: torch.mm(a, b, out=c)


def products(hidden):
    """The products that `reparam bench step` counts, taken in the same way, each of two plain row-major matrices. Each
    layer has the forward pass, the gradient of its weight and, but for the images, the gradient of its input."""
    encoder = [784, *hidden, 200]
    decoder = encoder[::-1]
    calls = []
    for sizes in [encoder, decoder]:
        for inputs, outputs in zip(sizes, sizes[1:]):
            calls += [product(BATCH, inputs, outputs), product(inputs, BATCH, outputs)]
            if inputs != 784:
                calls.append(product(BATCH, outputs, inputs))
    return Work(f"{EAGER} mm (MKL)", model_name(hidden), "products", calls)


def steps():
    for variant, wrap in STEPS:
        for hidden in ARGS.hidden:
            yield vae_step(variant, wrap, hidden)
    for hidden in ARGS.hidden:
        yield products(hidden)


serve(list(kernels() if ARGS.group == "kernels" else steps()), ARGS)
