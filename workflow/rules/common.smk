# The sweep and the names of its files; everything else asks these helpers.
import re
from pathlib import Path

from snakemake.exceptions import WorkflowError

from solvers.configuration import ConfigurationError
from solvers.record import FILES, RecordError
from workflow.sweep import Sweep


report: "../report/workflow.rst"


try:
    SWEEP = Sweep.from_config(config)
except (ConfigurationError, RecordError) as error:
    raise WorkflowError(str(error)) from None

TABLES = ("comparison", "ranking", "stages")
FIGURES = ("losses", "fields", "errors")


wildcard_constraints:
    scale=SWEEP.scale,
    sweep=SWEEP.name,
    experiment="|".join(map(re.escape, SWEEP.experiments)),
    seed=r"\d+",


def run_files(name, experiment=None):
    """The file called `name` of every run, or of every run of one experiment; no rule makes an archived one."""
    files = [str(folder / name) for folder in SWEEP.folders(experiment)]
    return ancient(files) if SWEEP.archived else files


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


def figures():
    return expand(
        "reports/{sweep}/figures/{experiment}/{figure}.{suffix}",
        sweep=SWEEP.name,
        experiment=SWEEP.experiments,
        figure=FIGURES,
        suffix=("pdf", "png", "csv"),
    )


def figure_output(name, suffix):
    """A figure's file; the PNG goes into Snakemake's report."""
    path = f"reports/{{sweep}}/figures/{{experiment}}/{name}.{suffix}"
    if suffix != "png":
        return path
    labels = {"experiment": "{experiment}", "figure": name}
    return report(
        path,
        caption=f"../report/{name}.rst",
        category="Figures",
        subcategory="{experiment}",
        labels=labels,
    )
