# Every experiment of the paper on every backend, then one table of all runs, then tables, figures and the page.
# `snakemake --cores 8` runs it; config/config.yaml says what it runs. Results: results/<scale>, reports/<scale>.


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/train.smk"
include: "workflow/rules/tables.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/page.smk"


rule all:
    default_target: True
    input:
        tables(),
        figures(),
        page=f"reports/{SWEEP.name}/index.html",
