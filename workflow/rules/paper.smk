# The paper: its values and tables, and the PDF; and the same from frozen results, without training anything.
#
# requires: <results>/tables/, <results>/figures/; or paper/frozen/, the tables of the reference run
# makes:    <results>/paper/; <results>/frozen/


FROZEN = f"{RESULTS}/frozen"


rule write_values:
    """Values and tables of the paper."""
    input:
        tables=rules.make_tables.output.tables,
        records=PLANS.model_records(),
        published=collect(project.path("paper/published/{name}.csv"), name=PUBLISHED),
        error_rates=project.path("paper/simulated/error_rates.csv"),
        board=PLANS.of_board(),
    output:
        values="<results>/paper/values.json",
        tables=collect("<results>/paper/{name}.csv", name=PAPER_TABLES),
        tex=collect("<results>/paper/{name}.tex", name=PAPER_TABLES),
    log:
        "<logs>/write_values.log",
    benchmark:
        "<benchmarks>/write_values.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.paper(),
        code=code_digest(
            "mute.paper.values", "mute.paper.tables", "mute.paper.elsewhere"
        ),
    script:
        "../../scripts/write_values.py"


rule draw_exhibits:
    """The paper's own figures, as SVG and PDF."""
    input:
        tables=rules.make_tables.output.tables,
        published=rules.write_values.input.published,
    output:
        svg=collect("<results>/paper/figures/{name}.svg", name=PAPER_FIGURES),
        pdf=collect("<results>/paper/figures/{name}.pdf", name=PAPER_FIGURES),
    log:
        "<logs>/draw_exhibits.log",
    benchmark:
        "<benchmarks>/draw_exhibits.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.figures(),
        code=code_digest(*(f"mute.paper.figures.{name}" for name in PAPER_FIGURES)),
    script:
        "../../scripts/draw_exhibits.py"


rule compile_paper:
    """The paper as PDF."""
    input:
        text=project.path("paper/mute.typ"),
        values=rules.write_values.output.values,
        figures=rules.draw_figures.output,
        exhibits=rules.draw_exhibits.output.svg,
    output:
        "<results>/paper/mute.pdf",
    log:
        "<logs>/compile_paper.log",
    benchmark:
        "<benchmarks>/compile_paper.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.compiler,
        code=code_digest("mute.store.artifacts"),
    script:
        "../../scripts/compile_paper.py"


use rule draw_figures as draw_frozen with:
    input:
        tables=PLANS.frozen_tables(),
    output:
        collect(f"{FROZEN}/figures/{{name}}.svg", name=FIGURES),
    log:
        f"{FROZEN}/logs/draw_figures.log",
    benchmark:
        f"{FROZEN}/benchmarks/draw_figures.jsonl"
    params:
        plan=PLANS.frozen_about,
        code=code_digest(*(f"mute.plotting.figures.{name}" for name in FIGURES)),


use rule write_values as write_frozen with:
    input:
        tables=PLANS.frozen_tables(),
        published=rules.write_values.input.published,
        error_rates=rules.write_values.input.error_rates,
        board=rules.write_values.input.board,
    output:
        values=f"{FROZEN}/values.json",
        tables=collect(f"{FROZEN}/{{name}}.csv", name=PAPER_TABLES),
        tex=collect(f"{FROZEN}/{{name}}.tex", name=PAPER_TABLES),
    log:
        f"{FROZEN}/logs/write_values.log",
    benchmark:
        f"{FROZEN}/benchmarks/write_values.jsonl"
    params:
        plan=PLANS.frozen,
        code=code_digest(
            "mute.paper.values", "mute.paper.tables", "mute.paper.elsewhere"
        ),


use rule draw_exhibits as exhibits_frozen with:
    input:
        tables=PLANS.frozen_tables(),
        published=rules.write_values.input.published,
    output:
        svg=collect(f"{FROZEN}/figures/{{name}}.svg", name=PAPER_FIGURES),
        pdf=collect(f"{FROZEN}/figures/{{name}}.pdf", name=PAPER_FIGURES),
    log:
        f"{FROZEN}/logs/draw_exhibits.log",
    benchmark:
        f"{FROZEN}/benchmarks/draw_exhibits.jsonl"
    params:
        plan=PLANS.frozen_about,
        code=code_digest(*(f"mute.paper.figures.{name}" for name in PAPER_FIGURES)),


use rule compile_paper as compile_frozen with:
    input:
        text=project.path("paper/mute.typ"),
        values=rules.write_frozen.output.values,
        figures=rules.draw_frozen.output,
        exhibits=rules.exhibits_frozen.output.svg,
    output:
        f"{FROZEN}/mute.pdf",
    log:
        f"{FROZEN}/logs/compile_paper.log",
    benchmark:
        f"{FROZEN}/benchmarks/compile_paper.jsonl"
