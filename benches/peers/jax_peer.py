"""The peers' side of the comparison in JAX, jitted. Prints one JSON object a line."""

import os

from timing import arguments, report, time_call

ARGS = arguments()
os.environ["XLA_FLAGS"] = (
    f"--xla_cpu_multi_thread_eigen={'true' if ARGS.threads > 1 else 'false'} "
    f"intra_op_parallelism_threads={ARGS.threads}"
)
os.environ["JAX_PLATFORMS"] = "cpu"
if ARGS.threads == 1 and hasattr(os, "sched_setaffinity"):
    # XLA takes a thread pool of the size of the machine whatever the flag says: keep it on one core.
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import jax.numpy as jnp

TAU = 0.5


def gumbel_softmax(mode):
    def op(key, x):
        return jax.nn.softmax((x + jax.random.gumbel(key, x.shape, mode=mode)) / TAU)

    return op


def binary_concrete(key, x):
    return jax.nn.sigmoid((x + jax.random.logistic(key, x.shape)) / TAU)


OPS = [
    ("jax", "gumbel_softmax", gumbel_softmax("low")),
    ("jax mode=high", "gumbel_softmax", gumbel_softmax("high")),
    ("jax", "binary_concrete", binary_concrete),
]


def kernels():
    for variant, name, op in OPS:
        for rows, classes in ARGS.sizes:
            x = jax.random.normal(jax.random.key(1), (rows, classes))
            dy = jax.random.normal(jax.random.key(2), (rows, classes))
            keys = list(jax.random.split(jax.random.key(3), 64))
            forward = jax.jit(op)
            both = jax.jit(lambda key, x, dy, op=op: jax.vjp(lambda x: op(key, x), x)[1](dy))
            calls = {"n": 0}

            def next_key():
                calls["n"] += 1
                return keys[calls["n"] % len(keys)]

            passes = [
                ("forward", lambda: forward(next_key(), x).block_until_ready()),
                ("forward_backward", lambda: both(next_key(), x, dy)[0].block_until_ready()),
            ]
            for pass_name, work in passes:
                report(variant, name, pass_name, ARGS.threads, time_call(work, ARGS.seconds), rows, classes)


def sampling():
    """Class indices without a gradient, from logits."""
    rows, classes = 8, 131072
    x = jax.random.normal(jax.random.key(1), (rows, classes))
    sample = jax.jit(lambda key, x: jax.random.categorical(key, x))
    seconds = time_call(lambda: sample(jax.random.key(2), x).block_until_ready(), ARGS.seconds)
    report("jax", "gumbel_max", "forward", ARGS.threads, seconds, rows, classes)


def net(key, sizes):
    keys = jax.random.split(key, len(sizes))
    return [
        (jax.random.normal(k, (i, o)) * (2 / i) ** 0.5, jnp.zeros(o)) for k, i, o in zip(keys, sizes, sizes[1:])
    ]


def apply(layers, x):
    for i, (w, b) in enumerate(layers):
        x = x @ w + b
        x = jax.nn.relu(x) if i + 1 < len(layers) else x
    return x


def vae_step(hidden, batch=100):
    sizes = [784, *hidden, 200]
    params = (net(jax.random.key(1), sizes), net(jax.random.key(2), sizes[::-1]))
    x = (jax.random.uniform(jax.random.key(3), (batch, 784)) < 0.13).astype(jnp.float32)

    def loss(params, key):
        encoder, decoder = params
        logits = apply(encoder, x).reshape(-1, 10)
        z = gumbel_softmax("low")(key, logits).reshape(batch, 200)
        out = apply(decoder, z)
        nll = jnp.sum(jnp.maximum(out, 0) - out * x + jnp.log1p(jnp.exp(-jnp.abs(out))))
        log_q = jax.nn.log_softmax(logits)
        kl = jnp.sum(jnp.exp(log_q) * (log_q + jnp.log(10.0)))
        return (nll + kl) / batch

    def step(state, key):
        params, mean, square, t = state
        grads = jax.grad(loss)(params, key)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
        square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, grads)
        rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
        params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, mean, square)
        return params, mean, square, t + 1

    step = jax.jit(step, donate_argnums=0)
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = {"now": (params, zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(1))}
    keys = list(jax.random.split(jax.random.key(4), 64))
    calls = {"n": 0}

    def work():
        calls["n"] += 1
        state["now"] = step(state["now"], keys[calls["n"] % 64])
        jax.block_until_ready(state["now"])

    report("jax", "vae " + ",".join(map(str, hidden or ["-"])), "step", ARGS.threads, time_call(work, ARGS.seconds * 3))


kernels()
sampling()
for hidden in [[], [512, 256]]:
    vae_step(hidden)
