"""Collocation points: how they are drawn, and which term each of them belongs to."""
