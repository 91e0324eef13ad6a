"""Chance is drawn once, with NumPy, from a seed that is a hash of named axes.

Never of the backend and, for points and weights, never of the method: two backends, or two methods, of one
experiment and seed start from the same numbers.
"""

import hashlib

import numpy as np

__all__ = ["generator"]


def generator(experiment: str, seed: int, purpose: str) -> np.random.Generator:
    """The generator for one purpose (``points/residual``, ``weights``) of one seed of one experiment."""
    axes = f"experiment={experiment}\nseed={seed}\npurpose={purpose}"
    digest = hashlib.sha256(axes.encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, dtype=np.uint32))
