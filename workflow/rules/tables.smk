# One table of all runs, then the tables made of it. On a cluster they are made where Snakemake runs: a queue would
# take longer.
localrules:
    summary,
    table,


rule summary:
    input:
        runs=run_files("run.json"),
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


rule table:
    input:
        summary=rules.summary.output.csv,
    output:
        csv="reports/{sweep}/tables/{table}.csv",
        md="reports/{sweep}/tables/{table}.md",
        tex="reports/{sweep}/tables/{table}.tex",
        html=report(
            "reports/{sweep}/tables/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        "logs/tables/{sweep}/{table}.log",
    message:
        "table {wildcards.table}"
    script:
        "../scripts/table.py"
