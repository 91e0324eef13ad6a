# One table of all runs, then the tables made of it.


rule summary:
    input:
        runs=run_files("run.json"),
    output:
        csv=report(
            "reports/{scale}/summary.csv",
            caption="../report/summary.rst",
            category="Tables",
            labels={"table": "all runs"},
        ),
    log:
        "logs/summary/{scale}.log",
    message:
        "one table of all runs"
    script:
        "../scripts/summary.py"


rule table:
    input:
        summary=rules.summary.output.csv,
    output:
        csv="reports/{scale}/tables/{table}.csv",
        md="reports/{scale}/tables/{table}.md",
        tex="reports/{scale}/tables/{table}.tex",
        html=report(
            "reports/{scale}/tables/{table}.html",
            caption="../report/table.rst",
            category="Tables",
            labels={"table": "{table}"},
        ),
    log:
        "logs/tables/{scale}/{table}.log",
    message:
        "table {wildcards.table}"
    script:
        "../scripts/table.py"
