"""What stands in the files of ``config/``: experiments, numerics, scales, and the axes of a run."""

from typing import Annotated, Any, Literal

from pydantic import Field

from solvers.configuration.spec import EvaluationSpec, PointsSpec, StageSpec
from solvers.configuration.validation import Name, StrictModel

__all__ = [
    "Authors",
    "Axes",
    "AxisEntry",
    "Experiment",
    "Layer",
    "LevelEntry",
    "Method",
    "Numerics",
    "Published",
    "Scale",
    "SharedMethod",
    "Stages",
    "StudyEntry",
]

Section = dict[str, Any]


class Layer(StrictModel):
    """What an overlay may change: every section of a run's specification, and several stages at once.

    In ``points``, ``supervised`` stands for all terms but the residual. ``stages`` changes stages by the
    experiment's name for them, ``optimizers`` every stage that uses that optimizer, ``balancing`` that of all
    levels. ``levels`` is a list in place of the levels, or a mapping from indexes to changes. A section that names
    its plug-in replaces the whole.
    """

    problem: Section = {}
    points: dict[str, Section] = {}
    grouping: Section | None = None
    inputs: str | None = None
    network: Section = {}
    trial: str | None = None
    balancing: Section = {}
    evaluation: Section = {}
    precision: str | None = None
    chunk_size: int | None = None
    levels: Any = None
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
    """A level of a method: what differs from the method's balancing, and stages: by name, by name with changes
    (``{stage: lbfgs, iterations: 50}``), or by their optimizer."""

    balancing: Section = {}
    stages: Annotated[list[Any], Field(min_length=1)]


NOT_THEIRS = Authors(rel_l2=None, source="not in the authors' repository")


class Method(StrictModel):
    """What a method does under the paper's name, with the authors' numbers if it is theirs: balancing, levels, and
    what differs from the experiment's points, inputs, network (replaced as a whole if it has a name) and
    evaluation. ``note`` is for the tables: what is knowingly not as in the paper.

    A method that is not the paper's runs where it is named. ``dimensions`` says what differs by the number of the
    problem's coordinates. A method with ``scales`` of its own stays as it is under those of the experiment, which
    shrink the paper's networks and points."""

    title: str
    note: str = ""
    in_paper: bool = True
    points: dict[str, Section] = {}
    grouping: Section | None = None
    inputs: str | None = None
    network: Section = {}
    trial: str = "identity"
    evaluation: Section = {}
    balancing: Section
    levels: Annotated[list[LevelEntry], Field(min_length=1)]
    dimensions: dict[Literal["1", "2", "3"], Layer] = {}
    scales: dict[str, Layer] | None = None
    authors: Authors = NOT_THEIRS


class SharedMethod(Method):
    """A file of ``methods/``: a method that all experiments have, or those that are named."""

    in_paper: bool = False
    experiments: Annotated[list[Name], Field(min_length=1)] | None = None


class Published(StrictModel):
    """An error that others than the paper's authors give for a problem, by what ``method`` (network and steps in
    short), and where it stands. Their set-up is theirs, so that no verdict hangs on it; ``here`` is the method of
    the experiment that has it, as far as it is known, so that their number can be checked."""

    method: str
    rel_l2: Annotated[float, Field(gt=0)]
    source: str
    here: Name | None = None


class Experiment(StrictModel):
    """A file of ``experiments/``: one experiment of the paper at the paper's scale, or one that is not in the
    paper, which the pipeline runs when it is named, or when its ``group`` is."""

    title: str
    in_paper: bool = True
    group: Name | None = None
    published: list[Published] = []
    problem: Section
    points: dict[str, PointsSpec]
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


class AxisEntry(StrictModel):
    """An axis of a study: a key as for ``--set``, and its values. In tables it has its ``name`` (the key if none);
    ``labels`` stand there in place of values that are no numbers or words.

    Or ``variants`` by name, each with the keys that it changes, none for what the method is without a change: an
    ablation."""

    path: str | None = None
    values: Annotated[list[Any], Field(min_length=1)] | None = None
    name: Name | None = None
    labels: list[str] | None = None
    variants: Annotated[dict[Name, dict[str, Any]], Field(min_length=1)] | None = None


class StudyEntry(StrictModel):
    """A file of ``studies/``: which runs belong together. ``experiments`` to ``seeds`` are as in ``config.yaml``,
    which may override them; ``set`` changes keys of all runs, ``set_in`` those of an experiment's by its name,
    ``axes`` span a grid of further changes. A study that is ``based_on`` another has what it does not say itself.
    ``figures``: names of those drawn, all that apply if none."""

    title: str
    description: str = ""
    scale: Any = "quick"
    experiments: Any = "all"
    methods: Any = "all"
    backends: Any = "all"
    numerics: Any = "paper"
    seeds: Any = None
    set: dict[str, Any] = {}
    set_in: dict[Name, dict[str, Any]] = {}
    axes: list[AxisEntry] = []
    figures: Annotated[list[Name], Field(min_length=1)] | None = None


class Stages(StrictModel):
    """All optimizer stages of an experiment, those too that no level of the method uses."""

    stages: dict[str, StageSpec]
