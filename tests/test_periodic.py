"""The periodic network: the same on both sides of the domain with all derivatives, whatever the weights."""

import numpy as np
import pytest

import problems
from solvers.model.jets import coordinate_jet, layout_for, numpy_ops
from solvers.model.networks.base import parameter_count, unflatten
from solvers.model.networks.periodic import Periodic
from solvers.model.terms import INPUTS
from solvers.plugins import KeyProblem
from tests.conftest import CATALOGUE, build, smoke_spec

CASES = [("allen-cahn", ("x",)), ("helmholtz", ("x", "y")), ("helmholtz", ("y",))]


def adapted(name: str, coordinates: tuple[str, ...], inputs: str = "interval"):
    problem = problems.load(name)
    shift, scale = INPUTS[inputs](problem.lower, problem.upper)
    return problem, shift, scale, Periodic(width=6, depth=2, coordinates=coordinates).adapted(problem, scale)


@pytest.mark.parametrize("inputs", INPUTS)
@pytest.mark.parametrize(("name", "coordinates"), CASES)
def test_u_and_its_derivatives_are_the_same_on_both_sides(name, coordinates, inputs):
    problem, shift, scale, network = adapted(name, coordinates, inputs)
    rng = np.random.default_rng(0)
    frozen = network.frozen(2, rng)
    theta = rng.standard_normal(parameter_count(network.shapes(2)))
    layout = layout_for(problem.coordinates, ["xx", "yy" if "y" in problem.coordinates else "tt"])
    sides: list[np.ndarray] = []
    points = rng.uniform(problem.lower, problem.upper, (20, 2))
    for edge in (problem.lower, problem.upper):
        for i, own in enumerate(problem.coordinates):
            if own in coordinates:
                points[:, i] = edge[i]
        rows = np.array([[c.first[0][1] * scale[i] if c.first and c.first[0][0] == i else 0.0 for i in range(2)]
                         for c in layout])  # fmt: skip
        inputs_jet = coordinate_jet(points, shift, scale, layout, rows)
        features = network.features(frozen, inputs_jet, numpy_ops)
        jet = network.forward(unflatten(theta, network.shapes(2)), features, layout, numpy_ops)
        sides.append(np.concatenate([jet.value, *jet.parts], axis=1))
    assert np.abs(sides[0]).max() > 0.1
    np.testing.assert_allclose(sides[0], sides[1], atol=1e-10 * np.abs(sides[0]).max())


def test_one_that_is_periodic_in_no_coordinate_or_in_an_unknown_one_is_refused():
    with pytest.raises(KeyProblem, match="at least one coordinate"):
        Periodic(width=6, depth=2)
    with pytest.raises(KeyProblem, match="no coordinate of the problem; allowed: x, t"):
        adapted("allen-cahn", ("y",))
    given = Periodic(width=6, depth=2, coordinates=("x",), frequencies=(0.0, 2.0))
    with pytest.raises(KeyProblem, match="above 0 for"):
        given.adapted(problems.load("allen-cahn"), np.ones(2))


def test_the_published_network_has_its_number_of_parameters():
    """arXiv 2604.05230: 4 x 30 units over two periodic coordinates, 2,971 parameters."""
    spec = CATALOGUE.resolve("helmholtz-1-4", "bfgs-periodic", "jax", scale="paper")
    assert parameter_count(spec.build_network().shapes(2)) == 2971


def test_a_periodic_condition_is_met_exactly(backend_name):
    """The term of the pairs of Allen-Cahn's equation is zero but for rounding."""
    network = 'network={"name": "periodic", "width": 8, "depth": 2, "coordinates": ["x"]}'
    _, backend, theta = build(smoke_spec(("allen-cahn", "pinn"), backend_name, overrides=[network]))
    values = dict(zip(backend.names, backend.terms_and_gradients(theta)[0], strict=True))
    assert values["boundary"] < 1e-25 and values["initial"] > 1e-3
