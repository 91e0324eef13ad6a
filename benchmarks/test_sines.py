"""Sine and cosine of JAX's arrays by polynomials, in turns with XLA's own."""

import dataclasses

import numpy as np
import pytest

from benchmarks.shapes import alternate, quartiles
from solvers import backends
from solvers.model.jets import numpy_ops
from solvers.model.networks._sines import sine_and_cosine


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_sine_and_cosine(benchmark, backend_name, dtype):
    """Nanoseconds for the two of one number."""
    if backend_name != "jax":
        pytest.skip("only JAX's are by polynomials")
    import jax

    backends.load("jax")  # turns float64 on
    z = jax.numpy.asarray(3 * np.random.default_rng(0).standard_normal(400_000), dtype)
    forbidden = dataclasses.replace(numpy_ops, sin=None, cos=None)
    ours = jax.jit(lambda z: sine_and_cosine(z, forbidden))
    xla = jax.jit(lambda z: (jax.numpy.sin(z), jax.numpy.cos(z)))
    for one, other in zip(ours(z), xla(z), strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=4e-16 if dtype == "float64" else 5e-7)
    contenders = {name: lambda f=f: jax.block_until_ready(f(z)) for name, f in {"ours": ours, "xla": xla}.items()}
    times = alternate(contenders, rounds=15, seconds=5)
    nanoseconds = {name: [1e9 * t / z.size for t in quartiles(each)] for name, each in times.items()}
    benchmark.extra_info |= {"backend": backend_name, "dtype": dtype, "nanoseconds": nanoseconds}
    benchmark.pedantic(contenders["ours"], rounds=5)
