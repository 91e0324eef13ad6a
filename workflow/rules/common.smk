# The sweep and the names of its files; everything else asks these helpers.
import re

from snakemake.exceptions import WorkflowError

from solvers.configuration import ConfigurationError
from solvers.record import FILES, RecordError
from workflow.sweep import Sweep


report: "../report/workflow.rst"


try:
    SWEEP = Sweep.from_config(config, files=workflow.configfiles)
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
