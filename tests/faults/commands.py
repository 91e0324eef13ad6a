"""Mistyped and hostile command lines: by hand, and drawn at random."""

from hypothesis import strategies as st

from solvers.configuration.catalogue import Catalogue
from tests.conftest import BACKENDS
from tests.faults.documents import JUNK, places

__all__ = ["COMMANDS", "RUN", "commands"]

RUN = ["run", "heat-0.3", "pinn", "--backend", BACKENDS[0], "--scale", "smoke"]
SETTINGS = [
    "evaluation.grid=2", "evaluation.grid=1000000000", "evaluation.grid=[]", "evaluation.history_grid=-1",
    "evaluation.every=0", "optimizers.adam.optimizer=[1]", "network={? !!str [a] : 1}", "network={? {a: 1} : 1}",
    "optimizers.lbfgs.history=1000000000", "optimizers.adam.iterations=1e3", "network.width=1_0",
    "network.width=0x10", "network.width=1000000000", "network.depth=-1", "optimizers.adam.learning_rate=5e-324",
    "optimizers.adam.learning_rate=nan", "problem.epsilon=.inf", "problem.epsilon=0", "problem=3", "points={}",
    "points.residual.count=1000000000000", "levels=[]", "levels.0.stages.99.iterations=1", "levels.-1=1", "seed=1",
    "overrides=[x]", "backend=jax", "balancing.name=__init__", "balancing.name=../x", "a..b=1", ".=1", "=", "",
    "network=!!python/object/apply:os.system [ls]", "network=[[[[", "network=" + "[" * 100_000,
    "network=\x1b[2J", "network.\ud800=1", "network=[/b]", "precision=float16", "trial=", "chunk_size=0",
]  # fmt: skip
"""What ``--set`` is given. None of them is possible."""
OTHERS = [
    [], ["nothing"], ["run"], ["run", "heat-0.3"], ["run", "heat-0.3", "pinn"], ["run", "-h"],
    ["run", "../heat-0.3", "pinn", "--backend", "jax"], ["run", "heat-0.3", "pinn", "--backend", "tensorflow"],
    [*RUN, "--seed", "-1"], [*RUN, "--seed", "x"], [*RUN, "--seed", "9" * 5000], [*RUN, "--time-limit", "0"],
    [*RUN, "--time-limit", "nan"], [*RUN, "--time-limit", "-inf"], [*RUN, "--checkpoint-interval", "0"],
    [*RUN, "--scale", "huge"], [*RUN, "--numerics", ""], [*RUN, "--numerics", "a\nb"], [*RUN, "--results"],
    ["--catalogue", "nowhere", "list"], ["--catalogue", "/dev/null", "list"], ["--catalogue", "", "list"],
    ["merge"], ["merge", "nowhere"], ["merge", "/dev/null"], ["merge", "a\x00b"], ["merge", "."],
    ["merge", "x" * 5000],
    ["merge", "{ours}", "--into", "/dev/null"], ["merge", "{ours}", "--into", "{ours}"],
    ["merge", "{ours}", "--keep", "mine"], ["archive"], ["archive", "nowhere"], ["archive", "/dev/null"],
    ["archive", "{ours}"], ["archive", "a\x00b"], ["archive", "{run}", "--to", "/dev/null"],
    ["archive", "\x1b[2J"],
    ["status", "--scale", "huge"], ["status", "--config", "x"], ["status", "--config", "seeds=0"],
    ["status", "--config", "seeds=-1"], ["status", "--config", "study=../x"],
    ["status", "--config", "runs=archive"],
    ["status", "--config", "experiments=[["], ["status", "--config", "scale=smoke", "seeds=99999999999999"],
    ["status", "--results", "/dev/null", "--scale", "smoke"],
    ["status", "--results", "a\x00b", "--scale", "smoke"],
    ["list", "more"], ["schema", "more"],
]  # fmt: skip
COMMANDS: list[list[str]] = [*([*RUN, f"--set={text}"] for text in SETTINGS), *OTHERS]
"""By hand; ``{ours}`` stands for a folder of results, ``{run}`` for a finished run in it."""


def commands() -> st.SearchStrategy[list[str]]:
    """``run`` with an axis or some settings that are junk."""
    spec = Catalogue().resolve("heat-0.3", "mmpinn", BACKENDS[0], scale="smoke")
    keys = [".".join(map(str, path)) for path in places(spec.model_dump(mode="json"))]
    keys += [
        "optimizers.adam.iterations",
        "stages.lbfgs.history",
        "methods.mmpinn.network",
        "chunk_size",
        "precision",
    ]
    junk = [*map(str, JUNK), "[", "{", "*a", "!!python/object:os.system x", "{a: {b: 1}}", "1e-3", "\t"]
    override = st.builds(lambda key, value: f"{key}={value}", st.sampled_from(keys), st.sampled_from(junk))
    text = st.one_of(override, st.text(max_size=12), st.sampled_from(["=", "a=", ".=1", "a..b=1", "a=" * 300]))
    word = st.sampled_from(["heat-0.3", "mmpinn", "pinn", "jax", "", "..", "../x", "heat\n", "1", "-1", "x" * 500])
    axis = st.sampled_from(["", "experiment", "method", "backend", "scale"])
    return st.builds(_command, st.lists(text, max_size=2), axis, word)


def _command(overrides: list[str], axis: str, name: str) -> list[str]:
    axes = {"experiment": "heat-0.3", "method": "mmpinn", "backend": "jax", "scale": "smoke"}
    axes |= {axis: name} if axis else {}
    options = [f"--backend={axes['backend']}", f"--scale={axes['scale']}"]
    return ["run", axes["experiment"], axes["method"], *options, *(f"--set={text}" for text in overrides)]
