"""Alignment: the rows against the definitions on hidden states of transformers."""

from itertools import combinations

import pytest
import torch

from families import EMBEDDED
from mute.analyses import alignment, similarity
from mute.analyses.base import Case
from mute.bands import Band
from mute.evaluate.asked import Asked
from mute.evaluate.subject import Subject
from mute.models import anatomy

CODES, DEPTH = ("hi", "en", "es"), 3


def looked(asked, first=0, **settings):
    analysis = alignment.Alignment(alignment.Settings(**settings))
    return analysis.run(Subject(asked.model), asked, Case(first, Band((first,)), ()))


@torch.no_grad()
def plain_states(asked, role):
    """Last states and means over tokens after every block [L, K, N, D], one prompt after the other."""
    corpus, outputs = asked.corpus, []
    roles, form = corpus.roles(asked.forget_set), corpus.about["unlearning_forms"][0]
    items = sorted(roles.index[roles == role])
    texts = corpus.texts[corpus.texts["form"] == form].set_index(["language", "item"])["prefix"]

    def keep(module, args, output):
        outputs.append(output[0] if isinstance(output, tuple) else output)

    last, mean = [], []
    hooks = [block.register_forward_hook(keep) for block in anatomy.blocks(asked.model)]
    try:
        for code in CODES:
            for item in items:
                outputs.clear()
                asked.model(input_ids=torch.tensor([asked.encoder.prompt(texts[code, item])]))
                last.append(torch.stack([out[0, -1] for out in outputs]))
                mean.append(torch.stack([out[0].double().mean(0) for out in outputs]))
    finally:
        for hook in hooks:
            hook.remove()
    return [torch.stack(x, 1).view(DEPTH, len(CODES), len(items), -1).double() for x in (last, mean)]


@pytest.mark.parametrize("family", EMBEDDED)
def test_every_row_is_that_of_hidden_states(trained_model, encoder, corpus, family):
    asked = Asked(trained_model(family), encoder, corpus, list(CODES), "domain")
    rows = looked(asked)
    found = {(row.measure, row.block, row.language): row.value for row in rows.itertuples()}
    assert len(found) == len(rows) == 2 * len(alignment.MEASURES) * DEPTH * 3
    for role, before in (("forget", ""), ("retain_seen", "retain_seen_")):
        last, mean = plain_states(asked, role)
        assert set(rows[rows["measure"] == f"{before}cka"]["n"]) == {last.shape[2]}
        for block in range(DEPTH):
            for a, b in combinations(range(3), 2):
                pair, means = last[block][[a, b]], mean[block][[a, b]]
                centres = means.mean(1)
                apart = float((centres[0] - centres[1]).norm())
                expected = {
                    "cka": similarity.mean_cka(pair),
                    "cka_unbiased": similarity.mean_cka(pair, unbiased=True),
                    "lrds": similarity.lrds(means),
                    "offset": apart / float(means.norm(dim=-1).mean()),
                    "offset_spread": apart / float((means - centres[:, None]).square().sum(-1).mean().sqrt()),
                    "retrieval": float(similarity.retrieval(means, remove_mean=True)[0, 1]),
                    "retrieval_uncentred": float(similarity.retrieval(means)[0, 1]),
                }
                own = {name: found[before + name, block, f"{CODES[a]}-{CODES[b]}"] for name in alignment.MEASURES}
                assert own == pytest.approx(expected, abs=1e-5)


def test_only_blocks_from_the_first_on_and_the_facts_that_are_asked_for(trained_model, encoder, corpus):
    asked = Asked(trained_model("llama"), encoder, corpus, list(CODES), "domain")
    rows = looked(asked, first=2, facts=["bystander", "bystander", "forget"])
    assert set(rows["block"]) == {2}
    prefixed = {f"forget_{name}" for name in alignment.MEASURES}
    assert set(rows["measure"]) == {*alignment.MEASURES, *prefixed}
    whole = looked(asked, facts=["forget"])
    own = rows[rows["measure"].isin(prefixed)]
    assert own["value"].tolist() == whole[whole["block"] == 2]["value"].tolist()


def test_one_language_or_too_few_facts_give_no_rows(trained_model, encoder, corpus):
    model = trained_model("llama")
    assert looked(Asked(model, encoder, corpus, ["en"], "domain")).empty
    few = type(corpus)(corpus.facts.assign(bystander=False), corpus.texts, corpus.lines, corpus.about)
    asked = Asked(model, encoder, few, list(CODES), "domain")
    assert looked(asked, facts=["bystander"]).empty
