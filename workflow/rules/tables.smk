# One table of all runs, then the tables made of it: all in one job, as reading and importing cost more than counting.
# On a cluster these, what is drawn of them, and the page are made where Snakemake runs: a queue would take longer.
localrules:
    summary,
    tables,
    summary_figures,
    page,


rule summary:
    input:
        runs=run_files("run.json"),
        others=other_files(),
        floors=floor_files(),
    output:
        csv=report(
            "reports/{report}/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "all runs"},
        ),
    log:
        "logs/summary/{report}.log",
    params:
        axes=[repr(axis) for axis in SWEEP.axes],
        columns=sorted(register.COLUMNS),  # with others the table is made anew
    message:
        "one table of all runs"
    script:
        "../scripts/summary.py"


rule tables:
    input:
        summary=f"reports/{SWEEP.name}/summary.csv",
        manifest=local("config/paper/manifest.yaml"),
        archived=archived_like() if "check" in SWEEP.tables() else [],
        runs=other_files() if reads_runs() else [],
    output:
        table_outputs(),
    log:
        f"logs/tables/{SWEEP.name}.log",
    message:
        "tables"
    script:
        "../scripts/tables.py"
