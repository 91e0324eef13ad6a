# One table of all runs, then the tables made of it.


rule summary:
    input:
        runs=run_files("run.json"),
    output:
        csv=report(
            REPORTS + "/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "all runs"},
        ),
    log:
        f"logs/{SWEEP.scale}/summary.log",
    message:
        "one table of all runs"
    script:
        "../scripts/summary.py"


rule table:
    input:
        summary=rules.summary.output.csv,
    output:
        csv=REPORTS + "/tables/{table}.csv",
        md=REPORTS + "/tables/{table}.md",
        tex=REPORTS + "/tables/{table}.tex",
        html=report(
            REPORTS + "/tables/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        f"logs/{SWEEP.scale}/tables/{{table}}.log",
    message:
        "table {wildcards.table}"
    script:
        "../scripts/table.py"
