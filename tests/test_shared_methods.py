"""Methods that experiments share: files of ``config/methods``, and methods based on another."""

import shutil

import pytest
import yaml

from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.study import study_of
from tests.conftest import CATALOGUE, ROOT

SHARED = {
    "title": "Shared",
    "inputs": "interval",
    "network": {"name": "dense", "width": 7, "depth": 2},
    "points": {"supervised": {"strategy": "grid", "count": 9}, "residual": {"strategy": "sobol", "count": 64}},
    "balancing": {"name": "sum"},
    "levels": [{"stages": [{"optimizer": "adam", "iterations": 30}]}],
    "dimensions": {"1": {"points": {"residual": {"count": 32}}}},
    "scales": {"smoke": {"points": {"residual": {"count": 16}}}},
}


@pytest.fixture
def edited(tmp_path):
    """The shipped configuration with a shared method and, if given, changes of heat-0.3's methods."""

    def make(shared=SHARED, methods=None) -> Catalogue:
        shutil.copytree(ROOT / "config", tmp_path / "config")
        (tmp_path / "config/methods").mkdir(exist_ok=True)
        (tmp_path / "config/methods/shared.yaml").write_text(yaml.safe_dump(shared))
        if methods:
            path = tmp_path / "config/experiments/heat-0.3.yaml"
            data = yaml.safe_load(path.read_text())
            data["methods"] |= methods
            path.write_text(yaml.safe_dump(data))
        return Catalogue(tmp_path / "config")

    return make


def test_all_experiments_have_it_and_it_is_not_the_papers(edited):
    catalogue = edited()
    for name in catalogue.names("experiments"):
        method = catalogue.experiment(name).methods["shared"]
        assert not method.in_paper and method.authors.rel_l2 is None
        catalogue.resolve(name, "shared", "jax")
    study = study_of({"seeds": 1}, catalogue)
    assert "shared" not in study.methods
    with_it = study_of({"seeds": 1, "methods": "all,shared"}, catalogue).methods
    papers = tuple(name for name in study.methods if name not in catalogue.names("methods"))
    assert with_it == (*papers, "shared")  # all are the paper's; the study has one of ours beside them


def test_it_says_its_own_points_by_dimension_and_scale(edited):
    catalogue = edited()

    def counts(experiment: str, scale: str) -> dict[str, int]:
        spec = catalogue.resolve(experiment, "shared", "jax", scale=scale)
        assert spec.network["width"] == 7  # the experiment's scales shrink the paper's networks
        return {term: spec.points[term]["count"] for term in spec.used_terms}

    assert counts("klein-gordon-5", "quick") == {"initial": 9, "boundary": 9, "residual": 64}
    assert counts("poisson-2-50", "paper") == {"boundary": 9, "residual": 32}
    assert counts("poisson-2-50", "smoke") == {"boundary": 9, "residual": 16}


def test_supervised_is_every_term_but_the_residual_also_on_the_command_line(edited):
    overrides = ["points.supervised.count=5", "points.boundary.count=6"]
    spec = edited().resolve("heat-0.3", "shared", "jax", overrides=overrides)
    assert {term: points["count"] for term, points in spec.points.items()} == {
        "initial": 5,
        "boundary": 6,
        "residual": 64,
    }


def test_only_the_experiments_that_are_named_have_it(edited):
    catalogue = edited(SHARED | {"experiments": ["heat-0.3", "burgers"]})
    having = [n for n in catalogue.names("experiments") if "shared" in catalogue.experiment(n).methods]
    assert having == ["burgers", "heat-0.3"]


def test_a_method_based_on_another_says_only_what_differs(edited):
    own = {"based_on": "shared", "title": "Wider", "network": {"width": 8}}
    catalogue = edited(methods={"wider": own, "deeper": {"based_on": "mmpinn", "network": {"depth": 3}}})
    wider, shared = (catalogue.resolve("heat-0.3", method, "jax") for method in ("wider", "shared"))
    assert wider.network == shared.network | {"width": 8} and wider.levels == shared.levels
    deeper, mmpinn = (catalogue.resolve("heat-0.3", method, "jax") for method in ("deeper", "mmpinn"))
    assert deeper.network == mmpinn.network | {"depth": 3} and deeper.levels == mmpinn.levels


def test_a_shared_method_may_be_based_on_another(edited):
    catalogue = edited({"based_on": "bfgs", "title": "Other", "balancing": {"name": "sum"}, "experiments": None})
    ours, base = (catalogue.resolve("heat-0.3", method, "jax") for method in ("shared", "bfgs"))
    assert ours.network == base.network and ours.points == base.points
    assert base.levels[0].balancing["weights"] and not ours.levels[0].balancing["weights"], "named: replaced whole"
    assert "shared" in catalogue.experiment("burgers").methods, "null: all experiments"


@pytest.mark.parametrize(
    ("shared", "methods", "parts"),
    [
        (SHARED | {"titel": "x"}, None, ["methods/shared.yaml", "titel", "title"]),
        ({"based_on": "bfgz"}, None, ["methods/shared.yaml", "based_on", "bfgz", "bfgs"]),
        ({"based_on": "mmpinn-bfgs"}, None, ["methods/shared.yaml", "based_on", "mmpinn-bfgs", "on no other"]),
        (SHARED | {"experiments": ["heat"]}, None, ["methods/shared.yaml", "experiments.heat", "heat-0.3"]),
        (SHARED | {"dimensions": {"4": {}}}, None, ["methods/shared.yaml", "dimensions", "4"]),
        (SHARED | {"scales": {"huge": {}}}, None, ["methods.shared.scales.huge", "quick"]),
        (SHARED | {"network": {"name": "dens"}}, None, ["methods.shared.network", "dens", "dense"]),
        (SHARED, {"shared": {"based_on": "pinn"}}, ["heat-0.3.yaml", "methods.shared", "methods/shared.yaml"]),
        (SHARED, {"own": {"based_on": "shred"}}, ["heat-0.3.yaml", "methods.own.based_on", "shred", "shared"]),
        (SHARED, {"own": {"based_on": "own"}}, ["methods.own.based_on", "own", "based on no other"]),
        (SHARED, {"own": {"based_on": ["pinn"]}}, ["methods.own.based_on", "pinn"]),
    ],
)
def test_mistakes_name_file_key_and_value(edited, shared, methods, parts):
    catalogue = edited(shared, methods)
    with pytest.raises(ConfigurationError) as refused:
        catalogue.resolve("heat-0.3", "shared", "jax", scale="smoke")
    for part in parts:
        assert part in str(refused.value)


@pytest.mark.parametrize("method", CATALOGUE.names("methods"))
@pytest.mark.parametrize("scale", CATALOGUE.names("scales"))
def test_the_shipped_ones_resolve_for_every_experiment_that_has_them(method, scale):
    having = [name for name in CATALOGUE.names("experiments") if method in CATALOGUE.experiment(name).methods]
    assert having
    for experiment in having:
        CATALOGUE.resolve(experiment, method, "jax", scale=scale)
