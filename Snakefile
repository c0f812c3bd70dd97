# MUTE: a study of multilingual unlearning over models x algorithms x layer bands x languages.
#
# requires: a configuration (config/config.yaml, overlaid by --configfile files)
# makes:    tables, figures and the summary of the study (all), what is drawn of it (figures), its paper (paper), the
#           reference run's paper (frozen), runs of experiment trackers (publish)


from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/fetch.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/pretrained.smk"
include: "workflow/rules/layers.smk"
include: "workflow/rules/unlearn.smk"
include: "workflow/rules/attack.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/paper.smk"
include: "workflow/rules/export.smk"
include: "workflow/rules/dvc.smk"
include: "workflow/rules/publish.smk"


report: os.path.abspath(f"{RESULTS}/summary.rst")


localrules:
    all,
    figures,
    paper,
    frozen,
    fetch,
    fetch_inputs,
    publish,
    publish_results,


for each in workflow.rules:
    # One line per job instead of its whole block: what it does, in the words of its rule.
    each.message = each.message or (each.docstring or each.name).strip().splitlines()[0]
    # What it runs is tracked by its text and that of all it imports. Snakemake's own trigger, which the profiles leave
    # out, goes by the time of the file alone: after a checkout everything would run again.
    ran = each.script or each.notebook
    each.set_params(
        script=(
            script_digest(each.basedir.join(ran).get_path_or_uri(secret_free=True))
            if ran
            else each.shellcmd
        ),
        # One that was moved in place may be older than what was made of the last.
        given=content(path for path in each.input if not is_made(path)),
    )


rule all:
    """The whole study: every table and figure, and the summary that stands on them."""
    input:
        # `study` among them is missing where tables were pulled that other settings have made.
        tables=rules.make_tables.output,
        # Each by its name, or one that was deleted would stay away: the summary is there.
        shown=[
            *rules.draw_figures.output,
            *rules.explore_layers.output,
            *rules.explore_trade_off.output,
            *rules.summarise.output,
            *rules.write_metrics.output,
        ],
        exports=EXPORTS.targets(),
        published=PLANS.published_with_study(),


rule figures:
    """What is drawn from the tables: figures, notebooks, the summary, and the numbers that DVC compares."""
    input:
        rules.draw_figures.output,
        rules.explore_layers.output,
        rules.explore_trade_off.output,
        rules.summarise.output,
        rules.write_metrics.output,


rule paper:
    """The paper of the study, as PDF and tables."""
    input:
        rules.compile_paper.output,
        rules.write_values.output,
        rules.draw_exhibits.output,
        rules.make_tables.output.study,


rule publish:
    """The study's results in the trackers that its configuration names."""
    input:
        rules.publish_results.output,


rule frozen:
    """All figures and the paper from the frozen results of the reference run."""
    input:
        rules.draw_frozen.output,
        rules.compile_frozen.output,


rule fetch:
    """Models and data that the study needs from the hub."""
    input:
        PLANS.fetched(),
