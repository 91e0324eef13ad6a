"""Configuration: everything that ships resolves, and every mistake is named where it was made."""

import json
import shutil
from pathlib import Path

import pytest
import yaml

from solvers import balancing
from solvers.configuration.catalogue import Catalogue, ConfigurationError
from solvers.configuration.spec import RunSpec
from solvers.runs.record import RunRecord
from tests.conftest import BACKENDS, CATALOGUE, METHODS, PAPER_METHODS, ROOT, smoke_spec
from workflow.sweep import Sweep

CASE = ("heat-0.3", "mmpinn", "jax")
RULES = ", ".join(balancing.names())


def message(action) -> str:
    with pytest.raises(ConfigurationError) as caught:
        action()
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("numerics", CATALOGUE.names("numerics"))
@pytest.mark.parametrize("scale", CATALOGUE.names("scales"))
def test_everything_that_ships_resolves(method, numerics, scale):
    for backend in BACKENDS:
        spec = CATALOGUE.resolve(*method, backend, numerics, scale)
        assert RunSpec.model_validate_json(spec.model_dump_json()) == spec


def test_a_specification_is_checked_as_a_whole_once(monkeypatch):
    """It has six layers; only if they do not fit each other are they gone through, to find the one to blame."""
    checks, check = [], RunSpec.check
    monkeypatch.setattr(RunSpec, "check", lambda spec: (checks.append(spec), check(spec)))
    spec = CATALOGUE.resolve(*CASE, scale="smoke", overrides=["optimizers.adam.iterations=7"])
    assert checks == [spec]
    found = message(lambda: CATALOGUE.resolve(*CASE, scale="smoke", overrides=["evaluation.grid=[9]"]))
    assert found.startswith("--set: evaluation.grid (value [9])") and len(checks) > 2


def test_what_is_put_together_once_is_changed_by_no_overrides():
    """Nor by a mistake in them: everything that an override can reach is as before."""
    catalogue = Catalogue()
    axes = ("pulse", "mmpinn-grs", "jax")
    before = catalogue.resolve(*axes).model_dump_json()
    changes = ["levels.0.balancing.exponents.residual=2", "levels.0.stages.0.iterations=7", "network.width=9"]
    changes += ["points.supervised.count=5", "evaluation.grid=[11, 11]", "optimizers.adam.learning_rate=0.5"]
    changed = catalogue.resolve(*axes, seed=3, overrides=changes)
    assert (changed.seed, changed.network["width"], changed.levels[0].stages[0]["iterations"]) == (3, 9, 7)
    with pytest.raises(ConfigurationError, match="iterations"):
        catalogue.resolve(*axes, overrides=["optimizers.adam.iterations=0"])
    assert catalogue.resolve(*axes).model_dump_json() == before
    assert Catalogue().resolve(*axes, seed=3, overrides=changes) == changed


def test_the_papers_scale_is_the_papers():
    spec = CATALOGUE.resolve("heat-0.15", "mmpinn", "jax", "paper", "paper")
    assert [level.balancing["exponents"]["residual"] for level in spec.levels] == [3, 2, 1]
    adam, lbfgs = spec.levels[0].stages
    assert (adam["iterations"], adam["learning_rate"]) == (2000, 1e-3)
    assert (lbfgs["iterations"], lbfgs["history"], lbfgs["line_search_steps"]) == (100000, 50, 50)
    assert (lbfgs["ftol"], lbfgs["gtol"], spec.precision) == (2.220446049250313e-16, 1e-5, "float32")
    assert spec.points["residual"]["count"] == 10000
    assert [len(level.stages) for level in spec.levels] == [2, 1, 1]


def test_strict_numerics_have_no_tolerances():
    for level in smoke_spec(("heat-0.15", "mmpinn"), "jax").levels:
        assert all(stage["ftol"] == stage["gtol"] == 0 for stage in level.stages if stage["optimizer"] == "lbfgs")


@pytest.mark.parametrize(
    ("override", "parts"),
    [
        ("problem.epsilo=0.2", ["problem.epsilo", "0.2", "allowed: name, epsilon"]),
        ("problem.epsilon=-1", ["epsilon", "-1", "greater than 0"]),
        ("problem.name=heet", ["problem.name", "heet", "heat, helmholtz"]),
        ("network.widht=3", ["network.widht", "3", "allowed", "width"]),
        ("network.width=abc", ["network.width", "abc", "integer"]),
        ("network.width=0", ["width 0", "at least 1"]),
        ("network.name=foo", ["network.name", "foo", "dense"]),
        ("optimizers.adm.iterations=3", ["optimizers.adm", "allowed: adam,"]),
        ("optimizers.adam.iterations=0", ["iterations 0", "at least 1"]),
        ("optimizers.adam.learning_rate=Infinity", ["learning_rate", "inf", "finite"]),
        ("evaluation.divergence_factor=NaN", ["divergence_factor", "finite"]),
        ("optimizers.lbfgs.implementation=own", ["implementation", "own", "'scipy' or 'native'"]),
        ("stages.sgd.iterations=3", ["stages.sgd", "allowed: adam, lbfgs"]),
        ("points.inside.count=3", ["points.inside", "allowed: initial, boundary, residual"]),
        ("points.residual.count=-3", ["points.residual.count", "-3"]),
        ("points.residual.strategy=halton", ["strategy", "halton", "allowed: grid, latin-hypercube"]),
        ("points.residual.strategy=sobl", ["points.residual.strategy", "sobl", "latin-hypercube", "sobol"]),
        ("evaluation.grid=[3]", ["evaluation.grid", "[3]", "['x', 't']"]),
        ("precision=float16", ["precision", "float16", "float32"]),
        ("learning_rate=1", ["learning_rate", "allowed", "optimizers"]),
        ("problem.epsilon", ["problem.epsilon", "KEY=VALUE"]),
        ("methods.pin.stages={}", ["methods.pin", "allowed: pinn"]),
        ("methods.mmpinn.methods.pinn.stages={}", ["methods.mmpinn", "methods.pinn", "allowed: none"]),
        ("optimizers.adam.iterations=2e3", ["optimizers.adam.iterations", "2000.0", "integer; write 2000"]),
        ("optimizers.adam.learning_rate=-1", ["optimizers.adam.learning_rate", "-1", "greater than 0"]),
        ("optimizers.lbfgs.history=100000000000", ["optimizers.lbfgs.history", "at most 1000000000"]),
        ("network.width=100000", ["network.width", "100000", "at most 10000"]),
        ("network.width=10000", ["network", "parameters", "at most 100000000"]),
        ("points.initial.count=1000000000", ["points.initial.count", "at most 100000000"]),
        ("points.residual={strategy: grid, count: 20000}", ["points.residual.count", "20000", "400000000 points"]),
        ("evaluation.grid=[100000, 100000]", ["evaluation.grid", "more than 100000000 nodes"]),
        ("problem.epsilon=no", ["problem.epsilon", "no", "true or false"]),
        ("problem.epsilon=", ["problem.epsilon", "nothing is given"]),
        ("problem.epsilon=0.001", ["problem", '"epsilon": 0.001', "not finite in float32"]),
        ("problem.epsilon=1e-300", ["problem", "1e-300", "not finite"]),
        ("problem.self=1", ["problem.self", "allowed: name, epsilon"]),
        ("stages.adam.optimizer=[1]", ["stages.adam.optimizer", "[1]", "allowed: adam,"]),
        ("balancing={name: lra}", ["--set: balancing.name", "lra", "changes its weights between steps"]),
        ("balancing={name: lraa}", ["--set: balancing.name", "lraa", f"allowed: {RULES}"]),
        ("balancing.exponents.interior=2", ["balancing.exponents.interior", "allowed: supervised, residual"]),
        ("balancing.rate=2", ["balancing.rate", "allowed: name, exponents"]),
        ("levels.3.stages.0.iterations=2", ["levels.3", "no such index; allowed: 0, 1, 2"]),
        ("levels.x.stages.0.iterations=2", ["levels.x", "no such index; allowed: 0, 1, 2"]),
        ("levels.0.stages.2.iterations=2", ["levels.0.stages.2", "no such index; allowed: 0, 1"]),
        ("levels.0.stages.1.iteration=2", ["levels.0.stages.1.iteration", "2", "allowed: optimizer, iterations"]),
        ("levels.0.stages.1.iterations=2.5", ["levels.0.stages.1.iterations", "2.5", "integer"]),
        ("levels.0.exponents.residual=2", ["levels.0.exponents", "allowed: balancing, stages"]),
        ("levels.0.balancing.exponents.residual=-2", ["levels.0.balancing", "residual", "greater than 0"]),
        ("levels.0.balancing=3", ["levels.0.balancing", "3", "mapping"]),
        ("levels.0=3", ["levels.0", "3", "mapping"]),
        ("levels=3", ["levels", "3", "list of levels"]),
        ("levels=[]", ["levels", "[]", "at least 1"]),
        ("levels=[{stages: []}]", ["levels.0.stages", "at least 1"]),
        ("levels=[{stages: [newton]}]", ["levels.0.stages.0", "newton", "allowed: adam, lbfgs"]),
        ("levels=[{stages: [{stage: [adam]}]}]", ["levels.0.stages.0", "allowed: adam, lbfgs"]),
        ("levels=[{stages: [{iterations: 3}]}]", ["levels.0.stages.0.optimizer", "is missing"]),
        ("grouping={name: balls}", ["grouping.name", "balls", "allowed: boxes"]),
        ("grouping={name: boxes, boxes: {late: {y: [0, 1]}}}", ["grouping", "late.y", "allowed: x, t"]),
        ("trial=hard", ["trial", "hard", "allowed: identity, hard-constraint"]),
        ("inputs=row", ["inputs", "row", "raw"]),
        ('a."b=1', ["KEY.KEY=VALUE"]),
        ("chunk_size=0", ["chunk_size", "0", "greater than or equal to 1"]),
    ],
)
def test_mistakes_in_overrides_are_named(override, parts):
    text = message(lambda: CATALOGUE.resolve(*CASE, scale="smoke", overrides=[override]))
    assert text.startswith("--set")
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("axes", "parts"),
    [
        ({"experiment": "heat-0.33"}, ["heat-0.33", "heat-0.3"]),
        ({"method": "mmpin"}, ["mmpin", "config/experiments/heat-0.3.yaml", "pinn"]),
        ({"backend": "tensorflow"}, ["tensorflow", "jax, torch"]),
        ({"numerics": "loose"}, ["loose", "paper, strict"]),
        ({"scale": "tiny"}, ["tiny", "paper, quick, smoke"]),
        ({"seed": -1}, ["seed", "-1"]),
    ],
)
def test_unknown_axes_are_named(axes, parts):
    given = dict(zip(("experiment", "method", "backend"), CASE, strict=True)) | {"scale": "smoke"} | axes
    text = message(lambda: CATALOGUE.resolve(**given))
    for part in parts:
        assert part in text


@pytest.mark.parametrize(
    ("overrides", "parts"),
    [
        (["network.width=3", "network.width=4"], ["network.width", "twice"]),
        (["network={width: 3}", "network.width=4"], ["network.width", "in conflict with --set network"]),
    ],
)
def test_overrides_in_conflict_are_named(overrides, parts):
    text = message(lambda: CATALOGUE.resolve(*CASE, scale="smoke", overrides=overrides))
    for part in ["--set", *parts]:
        assert part in text


def edited(tmp_path: Path, kind: str, name: str, edit) -> Catalogue:
    """A copy of the shipped configuration with one file changed."""
    shutil.copytree(ROOT / "config", tmp_path / "config")
    path = tmp_path / "config" / kind / f"{name}.yaml"
    data = yaml.safe_load(path.read_text())
    edit(data)
    path.write_text(yaml.safe_dump(data))
    return Catalogue(tmp_path / "config")


@pytest.mark.parametrize(
    ("kind", "name", "edit", "parts"),
    [
        ("experiments", "heat-0.3", lambda d: d.update(titel="x"), ["heat-0.3.yaml", "titel", "title"]),
        ("experiments", "heat-0.3", lambda d: d.pop("network"), ["heat-0.3.yaml", "network", "is missing"]),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["stages"]["adam"].update(learning_rate="1e-3"),
            ["heat-0.3.yaml", "learning_rate", '"1e-3"', "YAML reads it as text: write 0.001"],
        ),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["methods"]["mmpinn"]["levels"][1].update(stages=["newton"]),
            ["heat-0.3.yaml", "levels.1.stages", "newton", "allowed: adam,", "lbfgs"],
        ),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["methods"]["mmpinn"]["levels"][0].update(stages=[]),
            ["heat-0.3.yaml", "levels.0.stages"],
        ),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["methods"]["mmpinn"]["levels"][0].update(balancing={"exponents": {"residual": -3}}),
            ["heat-0.3.yaml", "residual", "-3", "greater than 0"],
        ),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["methods"]["mmpinn"]["levels"][0].update(balancing={"exponents": {"interior": 3}}),
            ["heat-0.3.yaml", "levels.0.balancing.exponents.interior", "residual"],
        ),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["methods"]["mmpinn"].update(balancing={"name": "powr"}),
            ["heat-0.3.yaml", "methods.mmpinn.balancing.name", "powr", RULES],
        ),
        (
            "experiments",
            "heat-0.3",
            lambda d: d["scales"]["smoke"]["network"].update(widht=3),
            ["heat-0.3.yaml (scales.smoke)", "network.widht", "width"],
        ),
        (
            "scales",
            "smoke",
            lambda d: d["optimizers"]["adam"].update(steps=3),
            ["scales/smoke.yaml", "steps", "iterations"],
        ),
        ("scales", "smoke", lambda d: d.update(seeds=0), ["scales/smoke.yaml", "seeds", "0"]),
        (
            "numerics",
            "paper",
            lambda d: d["optimizers"]["lbfgs"].update(ftol=-1.0),
            ["numerics/paper.yaml", "ftol -1.0", "negative"],
        ),
    ],
)
def test_mistakes_in_files_are_blamed_on_the_file(tmp_path, kind, name, edit, parts):
    catalogue = edited(tmp_path, kind, name, edit)
    text = message(lambda: catalogue.resolve(*CASE, scale="smoke"))
    for part in parts:
        assert part in text


GROUPED = ("pulse", "mmpinn-grs", "jax")


@pytest.mark.parametrize(
    ("groups", "parts"),
    [
        ({"ridge": {"t": [0.2, 1.2]}}, ["ridge.t", "[0.2, 1.2]", "within [0, 1]"]),
        ({"ridge": {"t": [0.6, 0.2]}}, ["ridge.t", "[0.6, 0.2]", "interval"]),
        ({"ridge": {"t": [0.5, 0.5]}}, ["ridge.t", "[0.5, 0.5]", "interval"]),
        ({"ridge": {"t": [0.5]}}, ["ridge.t.1", "[0.5]", "is missing"]),
        ({"ridge": {"y": [0.2, 0.6]}}, ["ridge.y", "allowed: x, t"]),
        ({"ridge": {}}, ["ridge", "at least one of ['x', 't']"]),
        ({"ridge": {"t": [0.1, 0.3]}}, ["ridge", "lies within group before"]),
        ({"ridge": {"t": [0.6, 1]}}, ["within group"]),
        ({"ridge/x": {"t": [0.2, 0.6]}}, ["ridge/x", "letters, digits and"]),
    ],
)
def test_groups_lie_in_the_domain_and_not_in_each_other(tmp_path, groups, parts):
    def change(data):
        own = data["methods"]["mmpinn-grs"]["grouping"]["boxes"]
        del own["ridge"]
        own.update(groups)

    catalogue = edited(tmp_path, "experiments", "pulse", change)
    text = message(lambda: catalogue.resolve(*GROUPED, scale="smoke"))
    for part in ["pulse.yaml: methods.mmpinn-grs.grouping.boxes", *parts]:
        assert part in text


@pytest.mark.parametrize("rule", ["lra", "self-adaptive"])
def test_weights_that_change_between_steps_need_an_optimizer_that_steps(tmp_path, rule):
    def change(data):
        data["methods"]["pinn"].update(balancing={"name": rule}, levels=[{"stages": ["lbfgs"]}])

    catalogue = edited(tmp_path, "experiments", "heat-0.3", change)
    text = message(lambda: catalogue.resolve("heat-0.3", "pinn", "jax", scale="smoke"))
    for part in ("heat-0.3.yaml", "methods.pinn.balancing.name", rule, "adam"):
        assert part in text


def test_stages_that_no_level_uses_are_checked_too(tmp_path):
    catalogue = edited(
        tmp_path, "experiments", "heat-0.3", lambda d: d["stages"].update(spare={"optimizer": ["adam"]})
    )
    text = message(lambda: catalogue.resolve(*CASE, scale="smoke"))
    assert "heat-0.3.yaml: stages.spare.optimizer" in text


def test_scales_of_an_experiment_must_exist(tmp_path):
    catalogue = edited(tmp_path, "experiments", "heat-0.3", lambda d: d["scales"].update(smok={}))
    text = message(lambda: catalogue.resolve(*CASE, scale="smoke"))
    assert "heat-0.3.yaml: scales.smok: unknown name; did you mean smoke? allowed: paper, quick, smoke" in text


def test_broken_yaml_is_named(tmp_path):
    catalogue = edited(tmp_path, "scales", "smoke", lambda data: None)
    (tmp_path / "config/scales/smoke.yaml").write_text("a: [1,")
    with pytest.raises(ConfigurationError) as caught:
        catalogue.resolve(*CASE, scale="smoke")
    text = str(caught.value)
    assert "smoke.yaml" in text and "not valid YAML" in text


@pytest.mark.parametrize(
    ("config", "parts"),
    [
        ({"scal": "smoke"}, ["scal", "unknown key", "allowed: study, scale, seeds"]),
        ({"scale": "tiny"}, ["scale", "tiny", "quick"]),
        ({"experiments": "heat-0.3,heat"}, ["experiments", "heat", "heat-0.15"]),
        ({"methods": "pin"}, ["methods", "pin", "mmpinn"]),
        ({"backends": ["jax", "tf"]}, ["backends", "tf", "torch"]),
        ({"backends": "jax,jax"}, ["backends", "once"]),
        ({"backends": 3}, ["backends", "3"]),
        ({"backends": []}, ["backends"]),
        ({"numerics": "exact"}, ["numerics", "exact", "strict"]),
        ({"seeds": 0}, ["seeds", "0", "at least 1"]),
        ({"seeds": -2}, ["seeds", "-2", "at least 1"]),
        ({"runs": "old"}, ["runs", "old", "fresh, archive"]),
        ({"runs": "archive", "scale": "smoke"}, ["runs", "no archived run"]),
        ({"seeds": [1, 1]}, ["seeds", "different"]),
        ({"seeds": "many"}, ["seeds", "many"]),
        ({"seeds": [-1]}, ["seeds"]),
        ({"seeds": ["1", "1"]}, ["seeds", "different"]),
        ({"seeds": [1.5]}, ["seeds", "1.5"]),
        ({"seeds": True}, ["seeds"]),
        ({"seeds": 10**9}, ["seeds", "1000000000", "at most 10000"]),
        ({"seeds": "1e1"}, ["seeds", "1e1", "count"]),
        ({"scale": False}, ["scale", "false", "YAML reads on, off, yes and no"]),
        ({"scale": 3}, ["scale", "3", "allowed: paper"]),
        ({"study": "papers"}, ["study", "papers", f"allowed: {', '.join(CATALOGUE.names('studies'))}"]),
        ({1: 2}, ["1", "a key must be text"]),
        ({"seeds": float("nan")}, ["seeds", "nan", "finite"]),
        ({"gpu": -1}, ["gpu", "-1", "how many GPUs"]),
        ({"gpu": "1"}, ["gpu", "how many GPUs"]),
    ],
)
def test_mistakes_in_the_sweep_are_named(config, parts):
    text = message(lambda: Sweep.from_config(config, CATALOGUE))
    for part in parts:
        assert part in text


def test_files_of_the_pipeline_are_read_strictly(tmp_path):
    """Snakemake itself would take the second."""
    (tmp_path / "mine.yaml").write_text("scale: smoke\nscale: quick\n")
    text = message(lambda: Sweep.from_config({"scale": "quick"}, CATALOGUE, files=[tmp_path / "mine.yaml"]))
    assert "mine.yaml: scale: is given twice" in text


def test_a_catalogue_without_experiments_is_named(tmp_path):
    (tmp_path / "scales").mkdir()
    (tmp_path / "studies").mkdir()
    shutil.copy(ROOT / "config/scales/smoke.yaml", tmp_path / "scales")
    shutil.copy(ROOT / "config/studies/paper.yaml", tmp_path / "studies")
    text = message(lambda: Sweep.from_config({"scale": "smoke"}, Catalogue(tmp_path)))
    assert "experiments" in text


@pytest.mark.parametrize(
    ("given", "parts"),
    [
        (["scale"], ["--config: scale", "KEY=VALUE"]),
        (["seeds=1", "seeds=2"], ["--config: seeds", "twice"]),
        (["seeds=[1"], ["--config: seeds", "not valid YAML"]),
        (["scales=smoke"], ["scales", "allowed: study, scale"]),
    ],
)
def test_mistakes_in_the_sweep_of_a_command_line_are_named(given, parts):
    text = message(lambda: Sweep.from_command_line(CATALOGUE, given))
    for part in parts:
        assert part in text


def test_a_command_line_gives_the_sweep_that_snakemake_makes():
    given = ["scale=smoke", "seeds=[0,7]", "experiments=heat-0.3", "backends=jax"]
    config = {"scale": "smoke", "seeds": ["0", "7"], "experiments": "heat-0.3", "backends": "jax"}
    assert Sweep.from_command_line(CATALOGUE, given) == Sweep.from_config(config, CATALOGUE)


def test_the_sweep_is_the_product_of_its_axes():
    sweep = Sweep.from_config(
        {"scale": "smoke", "experiments": "heat-0.15", "seeds": 5, "numerics": "all"}, CATALOGUE
    )
    methods = 1 + sum(e == "heat-0.15" for e, _ in PAPER_METHODS)  # and one beyond the paper
    assert len(sweep.specs) == methods * len(BACKENDS) * 2 * 5
    assert len(set(sweep.folders())) == len(sweep.specs)
    for listed in ([7], ["7"]):
        assert Sweep.from_config({"scale": "smoke", "seeds": listed}, CATALOGUE).specs[0].seed == 7
    assert {spec.backend for spec in Sweep.from_config({"backends": "jax"}, CATALOGUE).specs} == {"jax"}


def test_the_sweeps_runs_are_those_of_the_command_line():
    for spec in Sweep.from_config({"scale": "smoke", "numerics": "all", "seeds": [2, 5]}, CATALOGUE).specs:
        axes = (spec.experiment, spec.method, spec.backend, spec.numerics, spec.scale, spec.seed)
        assert spec == CATALOGUE.resolve(*axes)


def test_the_default_sweep_is_the_quick_scale_of_the_whole_paper():
    config = yaml.safe_load((ROOT / "config/config.yaml").read_text())
    sweep = Sweep.from_config(config, CATALOGUE)
    assert sweep.scale == "quick"
    assert sweep.experiments == list(dict.fromkeys(experiment for experiment, _ in PAPER_METHODS))
    assert {(s.experiment, s.method) for s in sweep.specs if s.method != "bfgs"} == set(PAPER_METHODS)
    assert {s.experiment for s in sweep.specs if s.method == "bfgs"} == set(sweep.experiments)
    assert len(sweep.specs) == (len(PAPER_METHODS) + len(sweep.experiments)) * 2


def test_other_experiments_are_run_when_they_are_named():
    others = {experiment for experiment, _ in METHODS if not CATALOGUE.experiment(experiment).in_paper}
    assert others
    named = ["heat-0.3", *sorted(others)]
    assert Sweep.from_config({"scale": "smoke", "experiments": named}, CATALOGUE).experiments == named


def test_the_schema_of_a_run_is_the_one_on_file():
    """Made anew by `make schemas`."""
    on_file = json.loads((ROOT / "workflow/schemas/run.schema.json").read_text())
    assert on_file == RunRecord.model_json_schema()


def test_another_sampler_takes_over_the_count():
    before = CATALOGUE.resolve(*CASE, scale="smoke").points["residual"]["count"]
    after = CATALOGUE.resolve(*CASE, scale="smoke", overrides=["points.residual.strategy=sobol"]).points[
        "residual"
    ]
    assert after == {"strategy": "sobol", "count": before}
