"""What a task offers beyond one loss, on every family: the engine's path against the plain one.

Bit for bit where both see the same padded length; otherwise within rounding. Batches have a multiple of four rows.
"""

import copy

import pytest
import torch

from families import FAMILIES
from mute.bands import Band
from mute.engine import cache, low_rank, moments, sections
from mute.engine.band import Task, TextSet
from mute.engine.reference import WholeModel
from mute.engine.steps import Steps
from mute.models import anatomy
from mute.unlearn import losses

DEPTH = 3
FORGET, RETAIN = torch.arange(8), torch.arange(2, 10)


@pytest.fixture(scope="module")
def texts(corpus, encoder):
    """texts(lengths): rows of forget, retain and a further side, of one length each or not."""
    own = corpus.texts[corpus.texts["language"].isin(["en", "es", "pt"]) & (corpus.texts["form"] != 2)]
    own = own.merge(corpus.facts[["item", "subject"]], on="item")
    own = own.assign(length=[len(encoder.whole(*row)) for row in own[["prefix", "answer", "suffix"]].itertuples(False)])

    def make(lengths):
        sides = [own[own["item"].str.startswith(domain)] for domain in ("chemistry", "history")]
        if lengths == "one length":
            sides = [rows[rows["length"] == rows["length"].mode()[0]] for rows in sides]
            return {"forget": sides[0], "retain": sides[1], "other": sides[0].iloc[::-1]}
        other = sides[0].assign(answer=[o[(g + 1) % len(o)] for o, g in zip(sides[0]["options"], sides[0]["gold"])])
        return {"forget": sides[0], "retain": sides[1], "other": other.iloc[::-1]}

    return make


@pytest.fixture
def tasks(texts, random_model, encoder):
    """tasks(family, band, lengths): one task of the plain path and one of the engine's, on a model each."""

    def make(family, band="1", lengths="many lengths"):
        made, chosen = [], Band.named(band, DEPTH)
        for path in (WholeModel, Task):
            model = copy.deepcopy(random_model(family))
            sides = {name: TextSet(model, rows, encoder) for name, rows in texts(lengths).items()}
            for side in sides.values():
                side.texts.advance(chosen.start)
            made.append(path(model, chosen, sides.pop("forget"), sides.pop("retain"), 3, sides))
        return made

    return make


def same(one: torch.Tensor, other: torch.Tensor, exact: bool = False) -> None:
    assert one.shape == other.shape
    assert one.dtype == other.dtype
    if exact:
        assert torch.equal(one, other)
    else:
        assert (one - other).abs().max() <= 1e-5 * max(1.0, float(other.abs().max()))


def move(task, amount=0.1):
    """Change the band, as training does."""
    generator = torch.Generator().manual_seed(1)
    parameters = dict(task.model.named_parameters())
    for name in anatomy.band_parameters(task.model, task.band):
        parameters[name].data.add_(amount * torch.randn(parameters[name].shape, generator=generator))


LENGTHS = ("one length", "many lengths")


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_logits_and_log_probabilities_of_answer_tokens(tasks, family, lengths):
    """Now and as they were before the band moved; logits of all, and one number a token."""
    exact, found = lengths == "one length", []
    for task in tasks(family, "1", lengths):
        task.freeze_token_logprobs("forget", "other")
        task.freeze_states("forget", "retain")
        batch = task.batch("forget", FORGET)
        before = task.answer_logits(batch)
        frozen = task.frozen_logits(batch)
        same(frozen, before, exact)
        same(task.frozen_token_logprobs(batch), task.token_logprobs(batch), exact)
        move(task)
        assert not torch.allclose(task.answer_logits(batch), before)
        assert torch.equal(task.frozen_logits(batch), frozen)
        sums, counts = task.answer_logprobs(batch)
        assert counts.tolist() == torch.bincount(batch.owner, minlength=len(FORGET)).tolist()
        token = task.token_logprobs(batch)
        assert token.tolist() == pytest.approx(
            task.answer_logits(batch).log_softmax(-1).gather(1, batch.labels[:, None])[:, 0].tolist(), abs=1e-5
        )
        assert sums.tolist() == pytest.approx([float(token[batch.owner == row].sum()) for row in range(8)], abs=1e-5)
        other = task.batch("other", RETAIN)
        found.append([before, task.answer_logits(batch), token, task.frozen_token_logprobs(other)])
        found[-1].append(task.frozen_logits(task.batch("retain", RETAIN)))
        found[-1].append(task.final_states(batch))
    for whole, engine in zip(*found):
        same(engine, whole, exact)


def test_answer_logits_are_those_of_the_model_itself(tasks):
    for task in tasks("llama"):
        batch = task.batch("forget", FORGET)
        plain = task.model(input_ids=batch.ids).logits
        expected = [plain[row, place - 1] for row, place in batch.answer.nonzero().tolist()]
        same(task.answer_logits(batch), torch.stack(expected))
        assert batch.labels.tolist() == [int(batch.ids[row, place]) for row, place in batch.answer.nonzero().tolist()]


@pytest.mark.parametrize("family", FAMILIES)
def test_frozen_logits_stay_where_norm_and_head_train_too(tasks, family):
    found = []
    for task in tasks(family, "full"):
        task.freeze_states("forget")
        batch = task.batch("forget", FORGET)
        found.append(task.frozen_logits(batch))
        same(found[-1], task.answer_logits(batch))
        move(task)
        assert torch.equal(task.frozen_logits(batch), found[-1])
        assert not torch.allclose(task.answer_logits(batch), found[-1])
    same(*found)


@pytest.mark.parametrize("lengths", LENGTHS)
@pytest.mark.parametrize("family", FAMILIES)
def test_keys_and_their_second_moment(tasks, family, lengths):
    """Against a hook on the plain model, at chosen tokens and over all real ones."""
    exact, found = lengths == "one length", []
    for task in tasks(family, "1-2", lengths):
        batch = task.batch("forget", FORGET)
        seen: list[torch.Tensor] = []
        hook = moments.projection(task.model, 2).register_forward_hook(
            lambda m, args, out, log=seen: log.append(args[0])
        )
        task.model(input_ids=batch.ids)
        hook.remove()
        keys = task.keys(batch, 2, batch.key)
        assert keys.shape == (8, moments.projection(task.model, 2).in_features)
        same(keys, seen[0][batch.key])
        moment = task.covariance("other", 1)
        assert moment.dtype == torch.float64
        assert torch.allclose(moment, moment.T)
        every = torch.cat(
            [task.keys(task.batch("other", row), 1) for row in torch.arange(len(task.side("other"))).split(1)]
        )
        assert len(every) == int((task.side("other").lengths - 1).sum()), "neither padding nor what begins a sequence"
        assert torch.allclose(moment, (every.double().T @ every.double()) / len(every), rtol=1e-4, atol=1e-7)
        move(task)
        assert task.covariance("other", 1) is moment, "computed once, from the model as it was"
        found.append([keys, task.keys(batch, 1), moment.float()])
    same(found[1][0], found[0][0], exact)
    same(found[1][1], found[0][1], exact)
    same(found[1][2], found[0][2])


def test_keys_below_the_band_are_refused(tasks):
    with pytest.raises(ValueError, match="below the band"):
        tasks("llama", "1")[1].keys(tasks("llama", "1")[1].batch("forget", FORGET), 0)


def test_the_key_token_is_where_the_subject_ends(tasks, texts, encoder):
    task = tasks("llama")[1]
    rows = texts("many lengths")["forget"].reset_index(drop=True)
    found = 0
    for number, row in enumerate(rows.itertuples()):
        upto = encoder.prompt(row.prefix)[: int(task.forget.key[number]) + 1]
        said = encoder.tokenizer.decode(upto, skip_special_tokens=True).strip()
        if row.subject in row.prefix:
            assert said.endswith(row.subject)
            found += 1
        else:
            assert len(upto) == len(encoder.prompt(row.prefix))
    assert found > 10
    without = TextSet(task.model, rows.drop(columns="subject"), encoder)
    assert torch.equal(without.key, without.first - 1)


def test_sides_are_found_by_name_and_aligned_by_item_and_language(tasks, texts):
    task = tasks("llama")[1]
    assert task.forget is task.side("forget")
    assert task.retain is task.side("retain")
    with pytest.raises(ValueError, match=r"text side.*othr.*other"):
        task.side("othr")
    batch = task.batch("forget", torch.tensor([0, 3, 5, 6]))
    beside, owner = task.beside("other", batch)
    assert set(owner.tolist()) == {0, 1, 2, 3}
    for row, own in zip(beside.rows.tolist(), owner.tolist()):
        first = int(batch.rows[own])
        assert task.side("other").items[row] == task.forget.items[first]
        assert task.side("other").languages[row] == task.forget.languages[first]
    pairs = list(zip(task.side("other").items, task.side("other").languages))
    asked = [(task.forget.items[i], task.forget.languages[i]) for i in batch.rows.tolist()]
    assert len(owner) == sum(pairs.count(pair) for pair in asked)
    with pytest.raises(ValueError, match=r"1 texts have none beside them: 'nobody' in 'en'"):
        task.rows_of("other", ["nobody"], ["en"])


def test_draws_are_the_same_again_and_differ_by_purpose(tasks):
    task = tasks("llama")[1]
    one, again, other = (task.draws("forget", 6, purpose) for purpose in ("a", "a", "b"))
    rows = [next(one).rows.tolist() for _ in range(5)]
    assert rows == [next(again).rows.tolist() for _ in range(5)]
    assert rows != [next(other).rows.tolist() for _ in range(5)]
    first = [row for some in rows for row in some][: len(task.forget)]
    assert sorted(first)[: len(first)] == sorted(set(first))


@pytest.mark.parametrize("family", FAMILIES)
def test_a_gradient_of_gradients(tasks, family):
    """The squared norm of a gradient, derived once more: both paths, and against a difference."""
    found = []
    for task in tasks(family, "1"):
        names = anatomy.mlp_outputs(task.model, [1])
        task.train(names)
        batch, (weight,) = task.batch("forget", FORGET), [task.model.get_parameter(name) for name in names]

        def squared(task=task, batch=batch, names=names):
            with task.twice():
                (gradient,) = task.gradients(losses.nll(*task.answer_logprobs(batch)), names, create_graph=True)
            return gradient.square().sum()

        (second,) = task.gradients(squared(), names)
        # A tenth of the weight's own length along the second gradient must raise it by about what that says.
        step = 1e-3 * weight.detach().norm() * second / second.norm()
        with torch.no_grad():
            weight.add_(step)
        ahead = float(squared().detach())
        with torch.no_grad():
            weight.sub_(2 * step)
        behind = float(squared().detach())
        assert (ahead - behind) / 2 == pytest.approx(float((second * step).sum()), rel=0.05)
        found.append(second)
    assert torch.allclose(*found, rtol=1e-3, atol=1e-4 * float(found[0].abs().max()))


@pytest.mark.parametrize("band", ["1", "full"])
def test_descending_and_the_way_back(tasks, band):
    """Both paths go the same way, the loss falls, and afterwards every weight is what it was."""
    ends = []
    for task in tasks("llama", band, "one length"):
        before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
        names = anatomy.band_parameters(task.model, task.band)
        batch = task.batch("forget", FORGET)
        with task.descend(names, lambda t=task, b=batch: losses.nll(*t.answer_logprobs(b)), 5, 1e-2) as values:
            assert len(values) == 5
            assert values[-1] < values[0]
            ends.append({name: task.model.get_parameter(name).detach().clone() for name in names})
        assert all(torch.equal(tensor, before[name]) for name, tensor in task.model.state_dict().items())
    assert all(torch.allclose(ends[0][name], ends[1][name], atol=1e-5) for name in ends[0])


def test_the_way_back_is_taken_after_an_error(tasks):
    task = tasks("llama")[1]
    before = {name: tensor.clone() for name, tensor in task.model.state_dict().items()}
    names = anatomy.band_parameters(task.model, task.band)

    def loss():
        value = losses.nll(*task.answer_logprobs(task.batch("forget", FORGET)))
        if not torch.equal(task.model.get_parameter(names[0]), before[names[0]]):
            raise ArithmeticError
        return value

    with pytest.raises(ArithmeticError), task.descend(names, loss, 3, 1e-2):
        pass
    assert all(torch.equal(tensor, before[name]) for name, tensor in task.model.state_dict().items())
    assert not any(parameter.requires_grad for parameter in task.model.parameters())


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_only_what_a_mask_lets_moves(dtype):
    torch.manual_seed(0)
    weight, free = (torch.nn.Parameter(torch.randn(6, 4).to(dtype)) for _ in range(2))
    before, mask = weight.detach().clone(), torch.zeros(6, 1, dtype=torch.bool)
    mask[2] = True
    steps = Steps([weight, free], 1e-1, [mask, None])
    for _ in range(3):
        gradient = torch.randn(6, 4)
        gradient[0] = torch.nan
        steps.take([gradient, torch.ones(6, 4)])
    assert torch.equal(weight[[0, 1, 3, 4, 5]], before[[0, 1, 3, 4, 5]])
    assert (weight[2] != before[2]).all()
    assert float((free.detach().float()).mean()) < 0


def test_a_mask_with_descend(tasks):
    task = tasks("llama")[1]
    (name,) = anatomy.mlp_outputs(task.model, [1])
    before = task.model.get_parameter(name).clone()
    mask = torch.arange(before.shape[1]) == 3
    batch = task.batch("forget", FORGET)
    with task.descend([name], lambda: -losses.nll(*task.answer_logprobs(batch)), 2, 1e-2, {name: mask}):
        changed = (task.model.get_parameter(name) != before).any(0)
    assert changed.nonzero().flatten().tolist() == [3]


@pytest.mark.parametrize("family", FAMILIES)
def test_low_rank_updates_beside_the_bands_linear_layers(tasks, family):
    """A start that changes nothing, training on both paths, a patch of ordinary tensors, and all as it was after it."""
    patches_made = []
    for task in tasks(family, "1", "one length"):
        model, order = task.model, [name for name, _ in task.model.named_parameters()]
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        names = low_rank.linear_weights(model, [1])
        assert set(anatomy.mlp_outputs(model, [1])) | set(anatomy.attention_weights(model, [1])) <= set(names)
        batch = task.batch("forget", FORGET)
        plain = task.answer_logits(batch)
        starts = low_rank.zero_start(model, names, 2, 5)
        with low_rank.attached(model, starts, 2.0) as trained:
            assert torch.equal(task.answer_logits(batch), plain)
            assert set(trained.values()) == set(names)
            own = list(trained)
            with task.descend(own, lambda t=task, b=batch: losses.nll(*t.answer_logprobs(b)), 3, 1e-2) as values:
                assert values[-1] < values[0]
                made, moved = low_rank.merged(model, names), task.answer_logits(batch).detach()
            assert torch.equal(task.answer_logits(batch), plain)
        assert [name for name, _ in model.named_parameters()] == order
        assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
        for name, weight in made.items():
            change = weight - before[name]
            assert 0 < int(torch.linalg.matrix_rank(change, rtol=1e-3)) <= 2
            model.get_parameter(name).data.copy_(weight)
        same(task.answer_logits(batch), moved)
        patches_made.append(made)
    for name, weight in patches_made[0].items():
        assert torch.allclose(weight, patches_made[1][name], atol=1e-5)


def test_a_residual_start_leaves_the_model_what_it_is(tasks):
    task = tasks("llama")[1]
    (name,) = anatomy.mlp_outputs(task.model, [1])
    weight = task.model.get_parameter(name)
    before, batch = weight.detach().clone(), task.batch("forget", FORGET)
    plain = task.answer_logits(batch)
    left, size, right = torch.linalg.svd(before, full_matrices=False)
    starts = {name: (right[:2] * size[:2, None], left[:, :2])}
    with low_rank.attached(task.model, starts, 0.5, residual=True):
        same(task.answer_logits(batch), plain)
        assert not torch.allclose(
            task.model.state_dict()[name.replace(".weight", ".parametrizations.weight.original")], before
        )
    assert torch.equal(task.model.get_parameter(name), before)


class TestStore:
    """Covariances that jobs share."""

    def task(self, texts, random_model, encoder, folder, block=1):
        model = copy.deepcopy(random_model("llama"))
        # Whoever asked the shared model for its hidden states left transformers' own hooks on it: no cache keeps those.
        for module in model.modules():
            module._forward_hooks.clear()
            module._forward_pre_hooks.clear()
        cache.attach(model, cache.PrefixCache(folder / "prefixes", 10**7))
        sides = [TextSet(model, texts("many lengths")[name], encoder) for name in ("forget", "retain")]
        for side in sides:
            side.texts.advance(block)
        return Task(model, Band((block,)), *sides, 0)

    def test_another_job_finds_it(self, texts, random_model, encoder, tmp_path, monkeypatch):
        first = self.task(texts, random_model, encoder, tmp_path)
        moment = first.covariance("retain", 1)
        (entry,) = (tmp_path / "fitted").iterdir()
        assert entry.suffix == ".safetensors"
        second = self.task(texts, random_model, encoder, tmp_path)
        monkeypatch.setattr(moments, "second", lambda keys: pytest.fail("computed again"))
        assert torch.equal(second.covariance("retain", 1), moment)
        assert (cache.of(second.model).fitted.hits, cache.of(second.model).fitted.misses) == (1, 0)

    def test_whatever_it_depends_on_asks_for_another(self, texts, random_model, encoder, tmp_path):
        task = self.task(texts, random_model, encoder, tmp_path)
        task.covariance("retain", 1)
        task.covariance("forget", 1)
        task.covariance("retain", 2)
        changed = self.task(texts, random_model, encoder, tmp_path)
        changed.model.get_parameter(anatomy.mlp_outputs(changed.model, [0])[0]).data.mul_(2)
        changed.model.get_parameter(anatomy.mlp_outputs(changed.model, [0])[0]).add_(0)
        for side in changed.sides.values():
            side.texts.restart()
            side.texts.advance(1)
        assert not torch.allclose(changed.covariance("retain", 1), task.covariance("retain", 1))
        assert len(list((tmp_path / "fitted").iterdir())) == 4

    def test_what_a_hook_has_changed_is_not_kept(self, texts, random_model, encoder, tmp_path):
        task = self.task(texts, random_model, encoder, tmp_path)
        hook = anatomy.blocks(task.model)[1].register_forward_pre_hook(lambda module, args: (2 * args[0], *args[1:]))
        hooked = task.covariance("retain", 1)
        hook.remove()
        assert not (tmp_path / "fitted").exists()
        assert not torch.equal(self.task(texts, random_model, encoder, tmp_path).covariance("retain", 1), hooked)

    @pytest.mark.parametrize("harm", ["flipped", "cut", "foreign"])
    def test_a_damaged_one_is_computed_again_and_said(self, texts, random_model, encoder, tmp_path, harm, capsys):
        moment = self.task(texts, random_model, encoder, tmp_path).covariance("retain", 1)
        (entry,) = (tmp_path / "fitted").iterdir()
        whole = entry.read_bytes()
        bad = bytearray(whole)
        bad[-3] ^= 1
        entry.write_bytes({"flipped": bytes(bad), "cut": whole[:100], "foreign": b"hello"}[harm])
        again = self.task(texts, random_model, encoder, tmp_path)
        assert torch.equal(again.covariance("retain", 1), moment)
        assert f"computed again: {entry.name}" in capsys.readouterr().err
        assert entry.read_bytes() == whole

    def test_it_lies_within_the_caches_bound(self, texts, random_model, encoder, tmp_path):
        task = self.task(texts, random_model, encoder, tmp_path)
        prefixes = cache.of(task.model)
        moment = task.covariance("retain", 1)
        prefixes.limit = moment.nbytes + 2000
        task.covariance("retain", 2)
        assert len(list((tmp_path / "fitted").iterdir())) == 1
        prefixes.limit = 10
        task.covariance("forget", 2)
        assert len(list((tmp_path / "fitted").iterdir())) == 1

    def test_a_disk_that_takes_nothing_is_said_once(self, texts, random_model, encoder, tmp_path, capsys):
        (tmp_path / "fitted").write_text("a file where the folder belongs")
        task = self.task(texts, random_model, encoder, tmp_path)
        task.covariance("retain", 1)
        task.covariance("retain", 2)
        assert capsys.readouterr().err.count("fitted tensors are not kept") == 1


def test_states_of_a_batch_are_the_bands_input(tasks):
    """What a further side gives is at the band's input as well."""
    task = tasks("llama", "2")[1]
    batch = task.batch("other", FORGET)
    assert batch.hidden is not None
    plain = sections.run(task.model, sections.embed(task.model, batch.ids), 0, 2)
    same(batch.hidden[batch.real], plain[batch.real])
