# The sweep and the names of its files; everything else asks these helpers.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from solvers.configuration import ConfigurationError
from solvers.record import FILES, RecordError
from workflow.sweep import Sweep


report: "../report/workflow.rst"


try:
    SWEEP = Sweep.from_config(config, files=workflow.configfiles)
except (ConfigurationError, RecordError) as error:
    raise WorkflowError(str(error)) from None

TABLES = (
    "verdict-counts",
    "verdicts",
    "coverage",
    "comparison",
    "ranking",
    "statistics",
    "tests",
    "targets",
    "profiles",
    "backends",
    "numerics",
    "conclusions",
    "stages",
)
FIGURES = (
    "errors",
    "losses",
    "balance",
    "fields",
    "residuals",
    "targets",
    "trajectories",
    "partings",
)
GROUP_FIGURES = ("subdomains",)
SUMMARY_FIGURES = ("overview", "profiles-evaluations", "profiles-seconds")


wildcard_constraints:
    scale=SWEEP.scale,
    sweep=SWEEP.name,
    experiment="|".join(map(re.escape, SWEEP.experiments)),
    seed=r"\d+",


def run_files(name, experiment=None):
    """The file called `name` of every run, or of every run of one experiment; no rule makes an archived one."""
    files = [str(folder / name) for folder in SWEEP.folders(experiment)]
    return ancient(files) if SWEEP.archived else files


def other_files(experiment=None):
    """The other files of the same runs; a run leaves them all, but an archived one may have been thinned."""
    names = [name for name in FILES if name != "run.json"]
    files = [path for name in names for path in run_files(name, experiment)]
    return [path for path in files if not SWEEP.archived or Path(path).exists()]


def identity(wildcards):
    """Specification and code of a run, as a param: a change of either makes the run again."""
    return SWEEP.identity(wildcards)


def results_root(wildcards, output):
    """The folder of all results: `results`, or where a storage plug-in, as on Kubernetes, has its files on a node."""
    return Path(output[0]).parents[6]


def minutes(wildcards):
    """Time limit of one run where an executor knows limits: many times what the longest run took."""
    return {"smoke": 10, "quick": 60}.get(wildcards.scale, 720)


def cards():
    """The gpu resource of a run. Not declared if it is 0: Kubernetes would take that for a wish, too."""
    return {"gpu": SWEEP.gpu} if SWEEP.gpu else {}


def tables():
    return expand(
        "reports/{sweep}/tables/{table}.{suffix}",
        sweep=SWEEP.name,
        table=TABLES,
        suffix=("csv", "md", "tex", "html"),
    )


def table_output(name, suffix):
    """A table's file; the HTML goes into Snakemake's report."""
    path = f"reports/{{sweep}}/tables/{name}.{suffix}"
    if suffix != "html":
        return path
    return report(
        path, caption="../report/table.rst", category="Tables", labels={"table": name}
    )


def names_of_figures(experiment):
    grouped = GROUP_FIGURES if SWEEP.grouped(experiment) else ()
    return FIGURES + grouped


def only_grouped(grouped):
    """Wildcard constraint: an experiment with groups, or one without, of which there may be none."""
    chosen = [name for name in SWEEP.experiments if SWEEP.grouped(name) == grouped]
    return "|".join(map(re.escape, chosen)) or "(?!)"


def figures():
    """All figures, in the order of the page."""
    names = [
        f"{experiment}/{figure}"
        for experiment in SWEEP.experiments
        for figure in names_of_figures(experiment)
    ]
    return expand(
        "reports/{sweep}/figures/{figure}.{suffix}",
        sweep=SWEEP.name,
        figure=[*SUMMARY_FIGURES, *names],
        suffix=("pdf", "png", "csv"),
    )


def figure_outputs(names, folder, experiment):
    """Three files for each figure; the PNG goes into Snakemake's report."""
    return {
        f"{name}_{suffix}": figure_output(f"{folder}/{name}.{suffix}", name, experiment)
        for name in names
        for suffix in ("pdf", "png", "csv")
    }


def figure_output(path, name, experiment):
    if not path.endswith(".png"):
        return path
    return report(
        path,
        caption=f"../report/{name.partition('-')[0]}.rst",
        category="Figures",
        subcategory=experiment,
        labels={"experiment": experiment, "figure": name},
    )
