"""The product of two jets in torch, one operation with its derivative by hand: autograd's writes each of its
products and each of their sums to an array of its own, this one adds them up where they are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

from solvers.backends._tanh_layer import plus_product
from solvers.model.jets import Products

__all__ = ["bilinear"]

Tensor = torch.Tensor


def bilinear(
    products: Products, one: Sequence[Tensor], other: Sequence[Tensor], plus: Sequence[Tensor] | None
) -> list[Tensor]:
    """As :func:`solvers.model.jets.bilinear`."""
    return list(_Bilinear.apply(products, len(one), len(other), *one, *other, *(plus or ())))


class _Bilinear(torch.autograd.Function):
    """r_k = v_k + sum a f_i g_j over the products of k; in reverse f_i gets a times g_j, and g_j gets a f_i."""

    @staticmethod
    def forward(context: Any, products: Products, ones: int, others: int, *arrays: Tensor) -> tuple[Tensor, ...]:
        one, other, plus = arrays[:ones], arrays[ones : ones + others], arrays[ones + others :]
        context.products, context.sizes = products, (ones, others, len(plus))
        context.save_for_backward(*one, *other)
        context.set_materialize_grads(False)
        return tuple(_sum(plus[k] if plus else None, one, other, pairs) for k, pairs in enumerate(products))

    @staticmethod
    @once_differentiable
    def backward(context: Any, *down: Tensor | None) -> tuple[Tensor | None, ...]:
        ones, others, added = context.sizes
        factors = context.saved_tensors
        one, other = factors[:ones], factors[ones:]
        needed = context.needs_input_grad[3:]
        by_one: list[Tensor | None] = [None] * ones
        by_other: list[Tensor | None] = [None] * others
        for each, pairs in zip(down, context.products, strict=True):
            if each is None:
                continue
            for i, j, coefficient in pairs:
                if needed[i]:
                    by_one[i] = plus_product(by_one[i], each, other[j], coefficient)
                if needed[ones + j]:
                    by_other[j] = plus_product(by_other[j], each, one[i], coefficient)
        return None, None, None, *by_one, *by_other, *(down if added else ())


def _sum(plus: Tensor | None, one: Sequence[Tensor], other: Sequence[Tensor], pairs: Sequence[Any]) -> Tensor:
    total = None
    for i, j, coefficient in pairs:
        if total is None and plus is not None:
            total = torch.addcmul(plus, one[i], other[j], value=coefficient)
        else:
            total = plus_product(total, one[i], other[j], coefficient)
    if total is not None:
        return total
    return torch.zeros_like(one[0]) if plus is None else plus.clone()
