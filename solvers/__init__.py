"""Networks over jets, loss terms, balancing, optimizers and runs, on PyTorch and on JAX.

Importing this package, or anything the numbers depend on, needs NumPy, SciPy and SymPy only; a backend
imports its own framework and never the other's.
"""
