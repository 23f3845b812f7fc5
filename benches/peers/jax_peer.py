"""The comparison in JAX, jitted. Prints one JSON object per line."""

import functools
import itertools
import os

from timing import Work, arguments, model_name, serve

ARGS = arguments()
# Other settings stayed within the spread of these for the step 512,256 on one thread of an Intel Xeon, 7,630 to 10,630
# us with a median of 7,830: xla_cpu_prefer_vector_width=512, xla_cpu_use_onednn, xla_cpu_use_xnnpack,
# xla_cpu_enable_fast_math, no asynchronous dispatch: 7,570 to 8,990 in the median.
os.environ["XLA_FLAGS"] = (
    f"--xla_cpu_multi_thread_eigen={'true' if ARGS.threads > 1 else 'false'} "
    f"intra_op_parallelism_threads={ARGS.threads}"
)
os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp

TAU = 0.5
BATCH = 100
JIT = f"JAX {jax.__version__} jit"


def gumbel_softmax(mode):
    def op(key, x):
        return jax.nn.softmax((x + jax.random.gumbel(key, x.shape, mode=mode)) / TAU)

    return op


def binary_concrete(key, x):
    return jax.nn.sigmoid((x + jax.random.logistic(key, x.shape)) / TAU)


OPS = [
    (JIT, "gumbel_softmax", gumbel_softmax("low")),
    (f"{JIT} (noise mode=high)", "gumbel_softmax", gumbel_softmax("high")),
    (JIT, "binary_concrete", binary_concrete),
]


def random_keys(seed):
    """Keys made beforehand, used in turn."""
    return itertools.cycle(jax.random.split(jax.random.key(seed), 64))


def relaxed_sample(variant, name, op, rows, classes):
    x = jax.random.normal(jax.random.key(1), (rows, classes))
    dy = jax.random.normal(jax.random.key(2), (rows, classes))
    keys = random_keys(3)
    forward = jax.jit(op)
    both = jax.jit(lambda key, x, dy: jax.vjp(lambda x: op(key, x), x)[1](dy))
    passes = [
        ("forward", lambda: forward(next(keys), x).block_until_ready()),
        ("forward_backward", lambda: both(next(keys), x, dy)[0].block_until_ready()),
    ]
    for pass_name, call in passes:
        yield Work(variant, name, pass_name, [call], rows, classes)


def sampling():
    """Class indices without a gradient, from logits."""
    x = jax.random.normal(jax.random.key(1), ARGS.vocabulary)
    keys = random_keys(2)
    sample = jax.jit(jax.random.categorical)
    return Work(JIT, "gumbel_max", "forward", [lambda: sample(next(keys), x).block_until_ready()], *ARGS.vocabulary)


def kernels():
    for variant, name, op in OPS:
        for size in ARGS.sizes:
            yield from relaxed_sample(variant, name, op, *size)
    yield sampling()


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


def loss(params, x, key):
    encoder, decoder = params
    logits = apply(encoder, x).reshape(-1, 10)
    z = gumbel_softmax("low")(key, logits).reshape(BATCH, 200)
    out = apply(decoder, z)
    nll = jnp.sum(jnp.maximum(out, 0) - out * x + jnp.log1p(jnp.exp(-jnp.abs(out))))
    log_q = jax.nn.log_softmax(logits)
    kl = jnp.sum(jnp.exp(log_q) * (log_q + jnp.log(10.0)))
    return (nll + kl) / BATCH


@functools.partial(jax.jit, donate_argnums=0)
def adam_step(state, x, key):
    params, mean, square, t = state
    grads = jax.grad(loss)(params, x, key)
    mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, grads)
    square = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, square, grads)
    rate = 1e-3 * jnp.sqrt(1 - 0.999**t) / (1 - 0.9**t)
    params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) + 1e-8), params, mean, square)
    return params, mean, square, t + 1


def vae_step(hidden):
    sizes = [784, *hidden, 200]
    params = (net(jax.random.key(1), sizes), net(jax.random.key(2), sizes[::-1]))
    x = (jax.random.uniform(jax.random.key(3), (BATCH, 784)) < 0.13).astype(jnp.float32)
    zeros = lambda: jax.tree.map(jnp.zeros_like, params)
    state = [(params, zeros(), zeros(), jnp.float32(1))]
    keys = random_keys(4)

    def step():
        state[0] = jax.block_until_ready(adam_step(state[0], x, next(keys)))

    return Work(f"{JIT} (noise mode=low, Adam in the same jit)", model_name(hidden), "step", [step])


def steps():
    return map(vae_step, ARGS.hidden)


serve(list(kernels() if ARGS.group == "kernels" else steps()), ARGS)
