"""The training loop, its levels and stages, and what is recorded on the way."""
