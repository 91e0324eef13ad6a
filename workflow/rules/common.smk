# The sweep and the names of its files; everything else asks these helpers.
import re

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
FIGURES = ("errors", "losses", "balance", "fields", "residuals")
GROUP_FIGURES = ("subdomains",)


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
    """All figures, in the order of the page."""
    names = [
        f"{experiment}/{figure}"
        for experiment in SWEEP.experiments
        for figure in FIGURES + (GROUP_FIGURES if SWEEP.grouped(experiment) else ())
    ]
    return expand(
        "reports/{sweep}/figures/{figure}.{suffix}",
        sweep=SWEEP.name,
        figure=["overview", *names],
        suffix=("pdf", "png", "csv"),
    )


def figure_outputs(names):
    """Three files for each figure; the PNG goes into Snakemake's report."""
    path = "reports/{sweep}/figures/{experiment}/"
    files = {
        f"{name}_{suffix}": f"{path}{name}.{suffix}"
        for name in names
        for suffix in ("pdf", "csv")
    }
    return files | {
        f"{name}_png": reported_figure(f"{path}{name}.png", name) for name in names
    }


def reported_figure(path, name):
    return report(
        path,
        caption=f"../report/{name}.rst",
        category="Figures",
        subcategory="{experiment}",
        labels={"experiment": "{experiment}", "figure": name},
    )
