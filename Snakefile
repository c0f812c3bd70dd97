# MUTE: a study of multilingual unlearning over models x algorithms x layer bands x languages.
#
# requires: a configuration (config/config.yaml, overlaid by --configfile files)
# makes:    tables, figures and the summary of the study


from snakemake.utils import min_version

min_version("9.0")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/corpus.smk"
include: "workflow/rules/models.smk"
include: "workflow/rules/layers.smk"
include: "workflow/rules/unlearn.smk"
include: "workflow/rules/probe.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/figures.smk"


report: "workflow/report/workflow.rst"


localrules:
    all,


# One line per job instead of its whole block: what it does, in the words of its rule.
for each in workflow.rules:
    each.message = each.message or (each.docstring or each.name).strip().splitlines()[0]


rule all:
    """The whole study: its summary stands on every table and figure."""
    input:
        summary="<results>/summary.rst",
