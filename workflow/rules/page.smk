# The page: everything of one sweep in one file. Most of its time goes into compressing the figures, side by side.


rule page:
    input:
        summary=rules.summary.output.csv,
        tables=[path for path in tables() if path.endswith(".csv")],
        figures=[path for path in figures() if path.endswith(".png")],
        templates=local(
            [f"workflow/templates/page.{part}" for part in ("html.j2", "css", "js")]
        ),
    output:
        page="reports/{sweep}/index.html",
    log:
        "logs/page/{sweep}.log",
    threads: 4
    message:
        "the page"
    script:
        "../scripts/page.py"
