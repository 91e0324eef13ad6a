# Every run of a study, then one table of all runs, then tables, figures and the page. `snakemake --cores 8` runs the
# study of the paper; config/config.yaml says what else it may run. Results: results/<scale>, reports/<study>/<scale>.


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


onstart:
    from snakemake.logging import logger
    from workflow.progress import follow

    name = f"{SWEEP.study.name}, {SWEEP.scale}"
    follow(logger, name, SWEEP.made(), results_here(), at_a_time())


onsuccess:
    from workflow.page.start import write_start_page

    write_start_page(Path("reports"))
