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
    output:
        csv=report(
            "reports/{sweep}/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "all runs"},
        ),
    log:
        "logs/summary/{sweep}.log",
    message:
        "one table of all runs"
    script:
        "../scripts/summary.py"


rule tables:
    input:
        summary=rules.summary.output.csv,
        manifest=local("config/paper/manifest.yaml"),
    output:
        **{
            f"{name}_{suffix}": table_output(name, suffix)
            for name in TABLES
            for suffix in ("csv", "md", "tex", "html")
        },
    log:
        "logs/tables/{sweep}.log",
    message:
        "tables"
    script:
        "../scripts/tables.py"
