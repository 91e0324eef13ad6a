"""torch's own forms of operations on jets, against autograd's of the plain ones."""

import itertools
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
import torch

from solvers.backends.torch import OPS
from solvers.model.jets import Jet, Layout, Ops, channel_rows, coordinate_jet, layout_for

LAYOUTS = [
    layout_for("xt", ["t", "xx"], {"t": 1.0, "xx": -1.0}),
    layout_for("xt", ["xx", "tt"]),
    layout_for("xt", ["x", "xt", "tt"]),
    layout_for("xt", ["xx", "xt", "tt"], {"xx": 2.0, "xt": -0.5, "tt": 3.0}),
    layout_for("x", ["x"]),
    (),
]


def named(layout: Layout) -> str:
    return "-".join(channel.name for channel in layout) or "value"


def drawn(*sizes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(s, dtype=torch.float64, generator=generator, requires_grad=True) for s in sizes]


def jet_of(arrays: Sequence[torch.Tensor], layout: Layout) -> Jet:
    return Jet(arrays[0], tuple(arrays[1:]), layout)


def flat(jet: Jet) -> tuple[torch.Tensor, ...]:
    return (jet.value, *jet.parts)


def functions_of(layout: Layout, axes: tuple[int, ...]) -> Layout:
    """The channels of functions of some coordinates."""
    ones = np.ones(2)
    return coordinate_jet(ones[None], 0, 1, layout, channel_rows(layout, ones)).coordinates(axes).layout


@pytest.mark.parametrize("layout", LAYOUTS, ids=named)
@pytest.mark.parametrize("rows", [7, 1], ids=["points", "constant"])
def test_the_tanh_layer_by_hand_is_that_of_autograd(layout, rows):
    """Values to rounding, derivatives by gradcheck, channels that are the same at all points among them."""
    arrays = drawn((2, 3), (3,), (7, 2), *((rows, 2) for _ in layout))

    def layer(ops: Ops, weight: torch.Tensor, bias: torch.Tensor, *jet: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return flat(jet_of(jet, layout).tanh_layer(weight, bias, ops))

    torch.testing.assert_close(layer(OPS, *arrays), layer(OPS.plain, *arrays), rtol=1e-13, atol=1e-13)
    assert torch.autograd.gradcheck(partial(layer, OPS), arrays)


@pytest.mark.parametrize("layout", LAYOUTS[:-2], ids=named)
@pytest.mark.parametrize("axes", [((0, 1), (0, 1)), ((0,), (1,)), ((0,), (0, 1))], ids=str)
@pytest.mark.parametrize("added", [True, False], ids=["added", "alone"])
def test_the_product_by_hand_is_that_of_autograd(layout, axes, added):
    """Of functions of all coordinates or of some, whose jets lack channels."""
    own = [functions_of(layout, each) for each in axes]
    whole = [*own, layout] if added else own
    sizes = [1 + len(each) for each in whole]
    arrays = drawn(*((5, 2) for _ in range(sum(sizes))))

    def product(ops: Ops, *arrays: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ends = list(itertools.accumulate(sizes, initial=0))
        jets = [jet_of(arrays[a:b], each) for (a, b), each in zip(itertools.pairwise(ends), whole, strict=True)]
        return flat(jets[0].times(jets[1], layout, ops, *jets[2:]))

    torch.testing.assert_close(product(OPS, *arrays), product(OPS.plain, *arrays), rtol=1e-13, atol=1e-13)
    assert torch.autograd.gradcheck(partial(product, OPS), arrays)
