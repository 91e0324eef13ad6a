"""Whole runs: files, chance, repetition, divergence."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load_file

from solvers.configuration.assembly import build_backend, build_model, collocation_points, initial_parameters
from solvers.model.networks.base import flatten
from solvers.randomness import generator
from solvers.runs.record import RecordError, read_history, read_run
from solvers.runs.run import run, run_folder
from solvers.training.metrics import grid_errors
from tests.conftest import BACKENDS, CATALOGUE, smoke_spec, state_of

CASE = ("heat-0.3", "mmpinn")


def smoke_run(folder: Path, backend: str = "jax", numerics: str = "paper", **options):
    spec = smoke_spec(CASE, backend, numerics, **options)
    return spec, run(spec, folder)


def test_a_run_can_be_read_back(tmp_path):
    spec, record = smoke_run(tmp_path)
    assert read_run(tmp_path) == record
    assert record.spec == spec
    history = read_history(tmp_path)
    assert list(history.columns[:8]) == [
        "level",
        "stage",
        "optimizer",
        "iteration",
        "evaluation",
        "seconds",
        "objective",
        "rel_l2",
    ]
    assert history.iteration.is_monotonic_increasing and history.evaluation.is_monotonic_increasing
    assert history.seconds.is_monotonic_increasing
    assert history.iteration.iloc[-1] == record.iterations
    assert history.evaluation.iloc[-1] == record.function_evaluations
    assert set(history.level) == {0, 1, 2}


def test_history_tells_objective_from_terms(tmp_path):
    """The objective is the level's function of the raw terms, and the weights are its derivatives."""
    spec, _ = smoke_run(tmp_path, numerics="strict")
    rules, terms = [level.balancing for level in spec.build_levels()], spec.terms
    for _, row in read_history(tmp_path).iterrows():
        rule = rules[int(row.level)]
        values = np.array([row[f"term.{t}"] for t in terms])
        objective, weights = rule.combine(values, state_of(rule, terms), np)
        assert row.objective == pytest.approx(objective, rel=1e-12)
        np.testing.assert_allclose([row[f"weight.{t}"] for t in terms], weights, rtol=1e-12)


def test_saved_weights_make_the_saved_errors_and_fields(tmp_path):
    spec, record = smoke_run(tmp_path, "torch")
    problem = spec.build_problem()
    backend = build_backend(spec, problem)
    arrays = load_file(tmp_path / "weights.safetensors")
    for which, errors in (("last", record.last), ("best", record.best)):
        theta = flatten({name: arrays[f"{which}/{name}"] for name in backend.model.shapes})
        ours = grid_errors(
            problem, lambda points, theta=theta: backend.predict(theta, points), spec.evaluation.grid
        )
        assert ours.rel_l2 == pytest.approx(errors.rel_l2, rel=1e-6)
        assert ours.maximum == pytest.approx(errors.maximum, rel=1e-6)
    with np.load(tmp_path / "fields.npz") as fields:
        assert set(fields) == {"x", "t", "exact", "predicted"}
        assert fields["exact"].shape == fields["predicted"].shape == (21, 21)
        points = np.array([[fields["x"][3], fields["t"][5]]])
        assert fields["exact"][3, 5] == pytest.approx(problem.solution(points)[0])
        theta = flatten({name: arrays[f"last/{name}"] for name in backend.model.shapes})
        assert fields["predicted"][3, 5] == pytest.approx(backend.predict(theta, points)[0], rel=1e-5)


def test_the_same_seed_makes_the_same_numbers(backend_name, tmp_path):
    for name in ("first", "second"):
        smoke_run(tmp_path / name, backend_name)
    first, second = (read_history(tmp_path / name).drop(columns="seconds") for name in ("first", "second"))
    pd.testing.assert_frame_equal(first, second, check_exact=True)
    arrays = [load_file(tmp_path / name / "weights.safetensors") for name in ("first", "second")]
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(array, arrays[1][name])


@pytest.mark.parametrize(
    ("numerics", "override"),
    [("strict", "optimizers.adam.precision=float32"), ("paper", "optimizers.lbfgs.precision=float64")],
)
def test_a_run_in_two_precisions_is_measured_and_saved_in_the_last(tmp_path, backend_name, numerics, override):
    spec, record = smoke_run(tmp_path, backend_name, numerics, overrides=[override])
    assert record.status == "finished" and spec.dtype == {"strict": float, "paper": np.float32}[numerics]
    problem, arrays = spec.build_problem(), load_file(tmp_path / "weights.safetensors")
    assert {array.dtype.name for array in arrays.values()} == {"float64"}
    double = build_backend(smoke_spec(CASE, backend_name), problem)
    last = flatten({name: arrays[f"last/{name}"] for name in double.model.shapes})
    assert not np.array_equal(last, last.astype(np.float32))
    errors = grid_errors(problem, lambda points: double.predict(last, points), spec.evaluation.grid)
    assert record.last.rel_l2 == pytest.approx(errors.rel_l2, rel=1e-12)
    with np.load(tmp_path / "fields.npz") as fields:
        predicted = fields["predicted"]
    assert predicted.dtype == np.float64
    rule, history = spec.build_levels()[-1].balancing, read_history(tmp_path)
    values, _ = double.terms_and_gradients(last)
    objective, _ = rule.combine(values, state_of(rule, spec.terms), np)
    assert history.objective.iloc[-1] == pytest.approx(objective, rel=1e-12)


def test_a_run_under_the_logarithm_records_the_loss(tmp_path, backend_name):
    _, plain = smoke_run(tmp_path / "plain", backend_name, "strict")
    settings = [f"optimizers.{name}.objective=log" for name in ("adam", "lbfgs")]
    spec, record = smoke_run(tmp_path / "log", backend_name, "strict", overrides=settings)
    assert record.status == "finished"
    histories = [read_history(tmp_path / name) for name in ("plain", "log")]
    for history in histories:
        rules = [level.balancing for level in spec.build_levels()]
        values = [history[f"term.{term}"].to_numpy() for term in spec.terms]
        for level, objective, *terms in zip(history.level, history.objective, *values, strict=True):
            rule = rules[int(level)]
            loss, _ = rule.combine(np.array(terms), state_of(rule, spec.terms), np)
            assert objective == pytest.approx(loss, rel=1e-12)
    assert histories[0].objective[0] == histories[1].objective[0]
    assert record.last != plain.last


@pytest.mark.parametrize(
    ("case", "has_best"),
    [(("klein-gordon-5", "mmpinn-mff"), False), (("heat-0.15", "sa-pinn"), True), (CASE, True)],
)
def test_best_is_recorded_only_where_losses_compare(tmp_path, backend_name, case, has_best):
    """Never among mini-batches; of trained weights only after the stage that trains them."""
    spec = smoke_spec(case, backend_name)
    record = run(spec, tmp_path)
    arrays = load_file(tmp_path / "weights.safetensors")
    assert read_run(tmp_path) == record and record.last is not None
    assert (record.best is not None) == has_best == any(name.startswith("best/") for name in arrays)
    if has_best and case != CASE:
        assert record.best.iteration >= record.stages[0].iterations


def test_another_seed_makes_other_points_and_weights():
    specs = [smoke_spec(CASE, "jax", seed=seed) for seed in (0, 1)]
    problem = specs[0].build_problem()
    points = [collocation_points(spec, problem) for spec in specs]
    assert not np.isclose(points[0][-1].points, points[1][-1].points).any()
    weights = [initial_parameters(spec, problem) for spec in specs]
    moved = weights[0] != 0
    assert not np.isclose(weights[0][moved], weights[1][moved]).any()


def test_points_and_weights_depend_on_neither_backend_nor_method():
    specs = [smoke_spec(("heat-0.3", m), b) for m in ("pinn", "mmpinn") for b in BACKENDS]
    problem = specs[0].build_problem()
    for spec in specs[1:]:
        np.testing.assert_array_equal(initial_parameters(spec, problem), initial_parameters(specs[0], problem))
        pairs = zip(collocation_points(spec, problem), collocation_points(specs[0], problem), strict=True)
        for ours, others in pairs:
            np.testing.assert_array_equal(ours.points, others.points)


def test_frozen_frequencies_are_drawn_with_the_seed_and_saved(tmp_path):
    spec = smoke_spec(("helmholtz-1-8", "mff"), "jax", "paper")
    record = run(spec, tmp_path)
    drawn = build_model(spec, spec.build_problem()).frozen
    assert {name: array.shape for name, array in drawn.items()} == {"frequencies0": (1, 5), "frequencies1": (1, 5)}
    arrays = load_file(tmp_path / "weights.safetensors")
    for name, array in drawn.items():
        np.testing.assert_allclose(arrays[f"frozen/{name}"], array, rtol=1e-6)
    other = smoke_spec(("helmholtz-1-8", "mff"), "torch", "paper", seed=1)
    assert not np.isclose(
        build_model(other, other.build_problem()).frozen["frequencies1"], drawn["frequencies1"]
    ).any()
    assert record.parameters == sum(array.size for name, array in arrays.items() if name.startswith("last/"))


def test_seeds_are_hashes_of_named_axes_and_never_change():
    assert generator("heat-0.3", 0, "weights").integers(1 << 62) == 3948707451532233358
    draws = {
        generator(experiment, seed, purpose).random()
        for experiment in ("a", "b")
        for seed in (0, 1)
        for purpose in ("weights", "points/residual/0")
    }
    assert len(draws) == 8


def test_a_diverging_run_is_a_result(backend_name, tmp_path):
    _, record = smoke_run(tmp_path, backend_name, overrides=["optimizers.adam.learning_rate=1e6"])
    assert record.status == "diverged"
    assert "term" in record.reason and "iteration 1:" in record.reason
    assert [stage.reason for stage in record.stages] == ["diverged"]
    assert record.last.iteration == 0 < record.iterations
    assert read_run(tmp_path) == record
    assert len(read_history(tmp_path)) >= 1


def test_run_json_has_no_nan_literals(tmp_path):
    _, record = smoke_run(tmp_path, overrides=["optimizers.adam.learning_rate=1e30"])

    def refuse(literal: str):
        raise AssertionError(literal)

    json.loads((tmp_path / "run.json").read_text(), parse_constant=refuse)
    assert record.status == "diverged"


def test_provenance_leads_back_to_the_run(tmp_path):
    spec, record = smoke_run(tmp_path, "torch")
    assert (
        record.command
        == "python -m solvers run heat-0.3 mmpinn --backend torch --numerics paper --scale smoke --seed 0"
    )
    assert {"python", "torch", "numpy", "scipy"} <= set(record.provenance.versions)
    assert "jax" not in record.provenance.versions
    assert len(record.provenance.fingerprint) == 16
    assert {"setup", "training", "monitoring", "evaluation"} <= set(record.seconds)
    assert record.peak_memory_bytes > 1 << 20
    assert run_folder(spec) == Path("results/smoke/heat-0.3/mmpinn/torch/paper/0")


def test_overridden_runs_have_a_folder_of_their_own():
    spec = CATALOGUE.resolve("heat-0.3", "pinn", "jax", overrides=["problem.epsilon=0.2"])
    assert run_folder(spec).parts[2] == "heat-0.3@problem.epsilon=0.2"
    settings = ("iterations", "evaluations", "history", "line_search_steps", "ftol", "gtol")
    many = [f"stages.{stage}.{name}=9" for stage in ("lbfgs", "lbfgs-later") for name in settings]
    names = {
        run_folder(CATALOGUE.resolve("heat-0.3", "pinn", "jax", overrides=many[:i])).parts[2] for i in (8, 12)
    }
    assert len(names) == 2 and all(len(name) < 200 for name in names)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        ('{"status": "finished"}', "schema_version null: must be from 1 to 3"),
        ('{"schema_version": 99}', "schema_version 99: must be from 1 to 3"),
        ('{"schema_version": 2}', "not a run of schema 2"),
        ("[2]", "schema_version null"),
        ("", "is damaged: not JSON"),
        ("{", "is damaged: not JSON"),
        ("\udcff", "is damaged: not JSON"),
    ],
)
def test_damaged_records_are_named(tmp_path, damage, words):
    (tmp_path / "run.json").write_bytes(damage.encode(errors="surrogateescape"))
    with pytest.raises(RecordError, match=rf"run\.json: {words}"):
        read_run(tmp_path)


def test_a_missing_record_is_named(tmp_path):
    with pytest.raises(RecordError, match="cannot be read"):
        read_run(tmp_path)


def test_errors_in_one_dimension():
    problem = smoke_spec(("poisson-4-150", "pinn"), "jax").build_problem()
    errors = grid_errors(problem, lambda points: 1.01 * problem.solution(points), [1001])
    assert errors.rel_l2 == pytest.approx(0.01)
    assert errors.maximum == pytest.approx(0.01 * np.abs(problem.solution(np.linspace(0, 1, 1001)[:, None])).max())


def test_errors_are_those_of_a_known_mistake():
    problem = smoke_spec(CASE, "jax").build_problem()
    errors = grid_errors(problem, lambda points: 1.01 * problem.solution(points), [31, 11])
    assert errors.rel_l2 == pytest.approx(0.01)
    zero = grid_errors(problem, lambda points: np.zeros(len(points)), [31, 11])
    assert zero.rel_l2 == pytest.approx(1.0)
    assert zero.maximum == pytest.approx(np.exp(1 / 0.3))
