# Figures, notebooks, and the summary that opens the report.
#
# requires: <results>/tables/
# makes:    <results>/figures/, <results>/notebooks/, <results>/summary.rst, <results>/index.html


rule draw_figures:
    """All figures but the notebooks', in one process."""
    input:
        tables=rules.make_tables.output.tables,
    output:
        [
            report(
                f"<results>/figures/{name}.svg",
                caption=f"../report/{name}.rst",
                category="Figures",
                labels={"figure": name.replace("_", " ")},
            )
            for name in FIGURES
        ],
    log:
        "<logs>/draw_figures.log",
    benchmark:
        "<benchmarks>/draw_figures.jsonl"
    # Longer than a notebook: of three jobs on two cores it is the first.
    priority: 10
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.figures(),
        code=code_digest(*(f"mute.plotting.figures.{name}" for name in FIGURES)),
    script:
        "../../scripts/draw_figures.py"


rule explore_layers:
    """Notebook: the layer curves, their variants and the regions."""
    input:
        tables=rules.make_tables.output.tables,
        published=PLANS.notebook_inputs(),
    output:
        report(
            "<results>/figures/layer_curves.svg",
            caption="../report/layer_curves.rst",
            category="Notebooks",
            labels={"figure": "layer curves"},
        ),
    log:
        notebook="<logs>/notebooks/layer_curves.ipynb",
    benchmark:
        "<benchmarks>/explore_layers.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.notebooks(),
        code=code_digest("mute.plan.notebook", "mute.plotting.layer_curves"),
    notebook:
        "../notebooks/layer_curves.py.ipynb"


rule explore_trade_off:
    """Notebook: the trade-off of retaining and forgetting."""
    input:
        tables=rules.make_tables.output.tables,
        published=PLANS.notebook_inputs(),
    output:
        report(
            "<results>/figures/trade_off.svg",
            caption="../report/trade_off.rst",
            category="Notebooks",
            labels={"figure": "trade-off"},
        ),
    log:
        notebook="<logs>/notebooks/trade_off.ipynb",
    benchmark:
        "<benchmarks>/explore_trade_off.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.notebooks(),
        code=code_digest(
            "mute.plan.notebook",
            "mute.plotting.trade_off",
            "mute.plotting.figures.frontier",
        ),
    notebook:
        "../notebooks/trade_off.py.ipynb"


rule summarise:
    """The report's first page, the same as a page of its own, and the executed notebooks as others may see them."""
    input:
        tables=rules.make_tables.output.tables,
        figures=[
            *rules.draw_figures.output,
            *rules.explore_layers.output,
            *rules.explore_trade_off.output,
        ],
    output:
        summary="<results>/summary.rst",
        page="<results>/index.html",
    log:
        "<logs>/summarise.log",
    benchmark:
        "<benchmarks>/summarise.jsonl"
    conda:
        "../../envs/notebook.yaml"
    params:
        plan=PLANS.figures(),
        # As they ran they are logs: where tables were pulled none ran, and none is missing.
        executed=[f"{RESULTS}/logs/notebooks/{name}.ipynb" for name in NOTEBOOKS],
        code=code_digest(
            "mute.plotting.executed",
            "mute.plotting.summary",
            *(f"mute.plotting.figures.{name}" for name in FIGURES),
        ),
    script:
        "../../scripts/summarise.py"
