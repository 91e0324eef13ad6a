# The page: everything of one study in one file. Most of its time goes into compressing the figures, side by side.


rule page:
    input:
        summary="reports/{report}/summary.csv",
        tables=[path for path in tables() if path.endswith(".csv")],
        figures=[path for path in figures() if path.endswith(".png")],
        templates=local(
            [f"workflow/templates/page.{part}" for part in ("html.j2", "css", "js")]
        ),
        glossary=local("docs/glossary.md"),
    output:
        page="reports/{report}/index.html",
    log:
        "logs/page/{report}.log",
    threads: 4
    params:
        title=SWEEP.study.entry.title,
        description=SWEEP.study.entry.description,
    message:
        "the page"
    script:
        "../scripts/page.py"
