"""What stands in the files of ``config/``: experiments, numerics, scales, and the axes of a run."""

from typing import Annotated, Any

from pydantic import Field

from solvers.spec import EvaluationSpec, PointSet, StageSpec
from solvers.validation import Name, StrictModel

__all__ = ["Authors", "Axes", "Experiment", "Layer", "LevelEntry", "Method", "Numerics", "Scale", "Stages"]

Section = dict[str, Any]


class Layer(StrictModel):
    """What an overlay may change. ``optimizers`` changes every stage that uses that optimizer."""

    problem: Section = {}
    points: dict[str, Section] = {}
    network: Section = {}
    balancing: Section = {}
    evaluation: Section = {}
    precision: str | None = None
    chunk_size: int | None = None
    optimizers: dict[str, Section] = {}
    stages: dict[str, Section] = {}
    methods: dict[str, Section] = {}


class Numerics(Layer):
    """A file of ``numerics/``: precision and stop rule."""

    description: str


class Scale(Layer):
    """A file of ``scales/``: how much of everything, and how many seeds by default."""

    description: str
    seeds: Annotated[int, Field(ge=1)]


class Authors(StrictModel):
    """The authors' numbers for one method; ``None`` where their repository gives none."""

    rel_l2: float | None
    mean_absolute: float | None = None
    maximum: float | None = None
    lbfgs_iterations: list[int] | None = None
    lbfgs_evaluations: list[int] | None = None
    adam_steps: int | None = None
    seed: int | None = None
    source: str


class LevelEntry(StrictModel):
    """A level of a method: exponents, and stages by name."""

    exponents: dict[str, Annotated[float, Field(gt=0)]] = {}
    stages: Annotated[list[str], Field(min_length=1)]


NOT_THEIRS = Authors(rel_l2=None, source="not in the authors' repository")


class Method(StrictModel):
    """What a method does under the paper's name, with the authors' numbers if it is theirs: balancing, levels, and
    what differs from the experiment's points, inputs, network (replaced as a whole if it has a name) and
    evaluation. ``note`` is for the tables: what is knowingly not as in the paper."""

    title: str
    note: str = ""
    points: dict[str, Section] = {}
    groups: dict[str, Any] = {}
    inputs: str | None = None
    network: Section = {}
    trial: str = "identity"
    evaluation: Section = {}
    balancing: Section
    levels: Annotated[list[LevelEntry], Field(min_length=1)]
    authors: Authors = NOT_THEIRS


class Experiment(StrictModel):
    """A file of ``experiments/``: one experiment of the paper at the paper's scale, or one that is not in the
    paper, which the pipeline runs when it is named."""

    title: str
    in_paper: bool = True
    problem: Section
    points: dict[str, PointSet]
    inputs: str = "interval"
    network: Section
    evaluation: EvaluationSpec
    stages: Annotated[dict[str, Section], Field(min_length=1)]
    methods: Annotated[dict[Name, Method], Field(min_length=1)]
    scales: dict[str, Layer] = {}


class Axes(StrictModel):
    """What a run's command line names; the rest comes from files."""

    experiment: Name
    method: Name
    backend: str
    numerics: Name
    scale: Name
    seed: Annotated[int, Field(ge=0)]
    overrides: list[str]


class Stages(StrictModel):
    """All optimizer stages of an experiment, those too that no level of the method uses."""

    stages: dict[str, StageSpec]
