"""What redirecting edits share: keys, the states they are sent to, and how a band's blocks share the way there.

Keys K are the inputs of an MLP's output matrix. `where: subject` takes them at the last token of the subject, where the
corpus knows it and a prompt says it, as published: means over the wordings of a subject in a language. On small models,
whose names are several tokens that are all read, that moves no answer, so that the default takes the last token of each
prompt. Block by block, in order, the residual R = (z* - z) / (blocks left) between the target z* and the state z at the
band's output is spread over the band; what solves for the change of a block's matrix is the method's own.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeVar

from pydantic import Field

from mute.unlearn import base

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from mute.bands import Band
    from mute.engine.band import Batch, Task, TextSet
    from mute.models.anatomy import Model
    from mute.unlearn.view import View


class Settings(base.Settings):
    """What every redirecting edit can be told."""

    strength: ClassVar[str] = "step_size"

    step_size: float = Field(1.0, gt=0, description="Scale of the `paper` protocol; `matched` searches it.")
    where: Literal["subject", "prompt"] = Field(
        "prompt",
        description="Whose state is redirected: the last token of the subject, where it is known, or of the prompt.",
    )
    ridge: float = Field(0.1, gt=0, description="L2, relative to the mean square of the keys.")
    strengths: list[float] = Field([], description="Not used: `matched` searches the step size.")


class Aimed(Settings):
    """What edits can be told that choose among kinds of targets."""

    mode: Literal["redirect", "reject", "noise"] = Field(
        "redirect",
        description="What states are sent to: those of another subject's prompts (`redirect`), states after which a "
        "refusal follows (`reject`), or random ones of the same length (`noise`).",
    )
    target_steps: int = Field(25, ge=1, description="`reject`: steps of Adam that find a state.")
    target_rate: float = Field(
        0.1, gt=0, description="`reject`: their size, relative to the root mean square of a state's features."
    )
    target_decay: float = Field(0.5, ge=0, description="`reject`: weight of what is added to a state, over its square.")
    target_clamp: float = Field(
        1.0, gt=0, description="`reject`: the longest that it may be, relative to the length of the state."
    )


# Tokens x features of one pass with gradients: what it keeps of every block above must fit a device.
PASS = 1024 * 512
# Whom a key is of: language, and subject or else item.
Who = tuple[str, str]
OfEdit = TypeVar("OfEdit", bound=Settings)
OfAim = TypeVar("OfAim", bound=Aimed)


class Redirect(base.Edit[OfEdit]):
    """An edit that moves the states of forget prompts to targets through the MLPs of the band."""

    family = "editing"
    intent = "suppression"
    most = 1.5

    def cost(self) -> base.Cost:
        return base.Cost(head=False, reference=True, whole=True, trains="mlp_outputs")

    def parameters(self, model: Model, band: Band) -> list[str]:
        from mute.models import anatomy

        return anatomy.mlp_outputs(model, band.blocks)

    @abstractmethod
    def targets(self, task: Task, own: Mapping[Who, list[int]]) -> Tensor:
        """z* [n, D] of each key, in float64; own: the rows of the forget side that share a key."""

    @abstractmethod
    def solved(self, weight: Tensor, keys: Tensor, residual: Tensor, moment: Tensor) -> Tensor:
        """The change of a weight [out, in] for keys [in, n] and residual [out, n]; float64.

        moment [in, in]: of the keys of the retain side.
        """

    def place(self, batch: Batch) -> Tensor:
        """Where keys are read and states redirected: one token of each text [B, T]."""
        return batch.key if self.settings.where == "subject" else batch.ends

    def states(self, task: Task, side: str, groups: list[list[int]]) -> Tensor:
        """Mean states [n, D] of groups of rows at the band's output."""
        return means(task, side, lambda batch: task.output(batch)[self.place(batch)], groups)

    def change(self, task: Task) -> dict[str, Tensor]:
        import torch

        from mute.models import patches

        names = self.parameters(task.model, task.band)
        own = keys_of(task.forget, self.settings.where)
        with torch.no_grad(), patches.kept(task.model, names) as before:
            target = self.targets(task, own)
            for done, (block, name) in enumerate(zip(task.band.blocks, names)):
                now = self.states(task, "forget", list(own.values()))

                def read(batch: Batch, block: int = block) -> Tensor:
                    return task.keys(batch, block, self.place(batch))

                keys = means(task, "forget", read, list(own.values()))
                residual = (target - now) / (len(names) - done)
                weight = task.model.get_parameter(name)
                moment = task.covariance("retain", block)
                weight.add_(self.solved(weight, keys.T, residual.T, moment).to(weight.dtype))
            after = patches.take(task.model, names)
        return {name: after[name].float() - before[name].float() for name in names}


class Aiming(Redirect[OfAim]):
    """A redirecting edit whose targets are another subject's states, states before a refusal, or noise."""

    def cost(self) -> base.Cost:
        if self.settings.mode != "reject":
            return super().cost()
        # Of the two sides the forget side alone is read, and up to the head, in each step that finds a state.
        passes = 1 + self.settings.target_steps / 2
        return base.Cost(reference=True, whole=True, trains="mlp_outputs", passes=passes)

    def applies(self, view: View) -> str:
        reasons = {"redirect": nobody_else, "reject": no_refusal, "noise": lambda view: ""}
        return reasons[self.settings.mode](view)

    def reads(self, view: View) -> Mapping[str, pd.DataFrame]:
        own = {"forget": view.forget, "retain": view.retain}
        if self.settings.mode == "redirect":
            return {**own, "stand_ins": stand_ins(view)}
        return {**own, "refusals": refused(view)} if self.settings.mode == "reject" else own

    def targets(self, task: Task, own: Mapping[Who, list[int]]) -> Tensor:
        groups, s = list(own.values()), self.settings
        if s.mode == "redirect":
            # Row by row, the stand-in side holds the other subject's prompt for each forget text.
            return self.states(task, "stand_ins", groups)
        if s.mode == "noise":
            return noise(self.states(task, "forget", groups), list(own), task.seed)
        aim = Aim(s.target_steps, s.target_rate, s.target_decay, s.target_clamp)
        return self.states(task, "forget", groups) + aimed(task, "refusals", groups, self.place, aim).double()


def damped(moment: Tensor, ridge: float) -> Tensor:
    """A second moment with `ridge` times its mean eigenvalue on its diagonal: few tokens span few directions."""
    import torch

    eye = torch.eye(len(moment), dtype=moment.dtype, device=moment.device)
    return moment + ridge * moment.trace() / len(moment) * eye


def through_null_space(keys: Tensor, residual: Tensor, moment: Tensor, share: float, ridge: float) -> Tensor:
    """AlphaEdit's change, with L2 relative to the keys' mean square and the smallest `share` of eigenvectors."""
    from mute.unlearn import edits

    square = float(keys.square().sum(0).mean())
    return edits.null_space_edit(keys, residual, edits.null_space(moment, share=share), ridge * square)


def beside_what_is_known(keys: Tensor, residual: Tensor, moment: Tensor, weight: float, ridge: float) -> Tensor:
    """MEMIT's change: C is the retain keys' moment, that counts `weight` times as much as all keys together."""
    from mute.unlearn import edits

    return edits.memit_edit(keys, residual, weight * keys.shape[1] * damped(moment, ridge))


def one_by_one(weight: Tensor, keys: Tensor, residual: Tensor, known: Tensor) -> Tensor:
    """ROME's changes of a weight [out, in], each on top of those before, added up."""
    import torch

    from mute.unlearn import edits

    total, start = torch.zeros_like(weight, dtype=torch.float64), weight.double()
    for key, lacks in zip(keys.T, residual.T):
        total += edits.rome_edit(start + total, key, start @ key + lacks, known)
    return total


def keys_of(side: TextSet, where: str) -> dict[Who, list[int]]:
    """The rows that share a key: of each subject in each language, and of each prompt where it says no subject.

    With `where` at `prompt`, of each prompt.
    """
    found: dict[Who, list[int]] = {}
    for row, (language, subject, item, (prefix, *_)) in enumerate(
        zip(side.languages, side.subjects, side.items, side.parts)
    ):
        if item:
            own = subject if where == "subject" and subject else f"{item} {prefix}"
            found.setdefault((language, own), []).append(row)
    return found


def redirected(own: list[Who], others: list[Who], seed: int) -> dict[Who, Who]:
    """For each of `own` one of the others in the same language, the same one in all languages that have it."""
    from mute.store.artifacts import seed_of

    chosen = {}
    for language, who in own:
        there = [name for code, name in others if code == language]
        chosen[language, who] = (language, min(there, key=lambda name: seed_of(seed, "redirect", who, name)))
    return chosen


def means(task: Task, side: str, read: Callable[[Batch], Tensor], groups: list[list[int]]) -> Tensor:
    """Means over groups of rows of what `read` says of each text of a side [B, F]: [groups, F], in float64."""
    import torch

    from mute.engine import sections

    texts = task.side(side)
    each: dict[int, Tensor] = {}
    wanted = {row for rows in groups for row in rows}
    for rows in texts.texts.batches:
        if wanted.isdisjoint(rows):
            continue
        # A multiple of four rows: what is read does not depend on the batch that it is read in.
        values = read(task.batch(side, torch.tensor(sections.in_fours(rows))))
        each.update(zip(rows, values.double()))
    return torch.stack([torch.stack([each[row] for row in rows]).mean(0) for rows in groups])


def no_text(view: View) -> str:
    """Why no retain text could be a target, or ''."""
    if missing := sorted(set(view.forget["language"]) - set(view.retain["language"])):
        return f"the retain side has no text in {', '.join(missing)} whose state could be a target"
    return ""


def nobody_else(view: View) -> str:
    """Why a forget text has no other subject whose prompt could stand in for it, or ''."""
    if reason := no_text(view):
        return reason
    there = {language for language, _ in _others(view)}
    if missing := sorted(set(view.forget["language"]) - there):
        return f"the retain side names no other subject in {', '.join(missing)} that could stand in"
    return ""


def _named(rows: pd.DataFrame) -> list[str]:
    """Whom each row is about: its subject, or where it has none its item; '' for one that states no fact."""
    return [subject or item for subject, item in zip(rows["subject"].fillna(""), rows["item"].fillna(""))]


def _others(view: View) -> dict[Who, list[dict[str, Any]]]:
    """Rows of the retain side by language and subject; of those alone of whom nothing is to be forgotten."""
    forgotten, found = set(_named(view.forget)), {}
    for row, name in zip(view.retain.to_dict("records"), _named(view.retain)):
        if name and name not in forgotten:
            found.setdefault((row["language"], name), []).append(row)
    return found


def other_subjects(view: View) -> dict[Who, str]:
    """By language and forget subject, another subject that stands in for it; one of its domain where there is one.

    It is the same in every language, where one is there in all of them.
    """
    from mute.store.artifacts import seed_of

    others = _others(view)
    facts = view.facts
    domains = dict(zip([s or i for s, i in zip(facts["subject"].fillna(""), facts["item"])], facts["domain"]))
    spoken: dict[str, set[str]] = {}
    for language, name in zip(view.forget["language"], _named(view.forget)):
        spoken.setdefault(name, set()).add(language)
    found = {}
    for name, languages in spoken.items():
        for language in languages:
            there = [other for code, other in others if code == language]

            def order(other: str, own: str = name, codes: frozenset[str] = frozenset(languages)) -> tuple[bool, ...]:
                everywhere = all((code, other) in others for code in codes)
                return (not everywhere, domains.get(other) != domains.get(own))

            found[language, name] = min(there, key=lambda o: (*order(o), seed_of("stand in", name, o)))
    return found


def stand_ins(view: View) -> pd.DataFrame:
    """For each forget row the row of another subject, of the retain side, that is most like it, in the same language.

    Most like it: with its relation, or else its options, and then in its wording.
    """
    others, chosen = _others(view), other_subjects(view)
    relations = dict(zip(view.facts["item"], view.facts["relation"]))
    found = []
    for row, name in zip(view.forget.to_dict("records"), _named(view.forget)):
        language = row["language"]

        def likeness(other: Mapping[str, Any], own: Mapping[str, Any] = row) -> tuple[bool, ...]:
            same = relations.get(other["item"]) == relations.get(own["item"])
            return (same, list(other["options"]) == list(own["options"]), other["form"] == own["form"])

        # Of those that are alike, the first: a corpus has its rows in one order in every language.
        found.append(max(others[language, chosen[language, name]], key=likeness))
    return (
        view.forget.iloc[:0]
        .reindex(range(len(found)))
        .assign(**{column: [row[column] for row in found] for column in view.forget.columns})
    )


def refusals(codes: Iterable[str]) -> dict[str, str]:
    """By language what is answered where nothing is known, of languages that have a pack."""
    from mute.corpus import languages, romanised

    found = {}
    for code in codes:
        own = romanised.base(code)
        if own in languages.codes():
            word = languages.load(own).unknown
            found[code] = word if own == code else romanised.romanise(word)
    return found


def no_refusal(view: View) -> str:
    """Why there is no text of a refusal, or ''."""
    codes = set(view.forget["language"])
    if missing := sorted(codes - set(refusals(codes))):
        return f"there is no refusal in {', '.join(missing)}: a language without a pack has no word for it"
    return ""


def refused(view: View) -> pd.DataFrame:
    """The forget rows, each with a refusal in its language in the answer's place."""
    words = refusals(set(view.forget["language"]))
    return view.forget.assign(answer=view.forget["language"].map(words))


def noise(states: Tensor, whose: Sequence[Who], seed: int) -> Tensor:
    """Random states as long as those given [n, D]; whose: language and name of each, one draw for all languages."""
    import torch

    from mute.store.artifacts import seed_of

    drawn = []
    for _, name in whose:
        generator = torch.Generator().manual_seed(seed_of(seed, "noise", name))
        drawn.append(torch.randn(states.shape[1], generator=generator, dtype=torch.float64))
    directions = torch.stack(drawn).to(states)
    return directions * (states.norm(dim=1) / directions.norm(dim=1))[:, None]


def clamped(added: Tensor, longest: Tensor) -> Tensor:
    """What is added to states [n, D], none longer than `longest` [n, 1]."""
    return added * (longest / added.norm(dim=1, keepdim=True).clamp(min=1e-30)).clamp(max=1)


@contextmanager
def raised(model: Model, block: int, where: Tensor, added: Tensor) -> Generator[None]:
    """The model with `added` [B, D] put on the outputs of `block` at one token of each text, `where` [B, T]."""
    import torch

    from mute.models import anatomy

    def put(module: Any, args: Any, output: Any) -> Any:
        # A block gives a tensor in some families and a tuple in others.
        states = output[0] if isinstance(output, tuple) else output
        placed = torch.zeros_like(states).masked_scatter(where[..., None], added.to(states.dtype))
        return (states + placed, *output[1:]) if isinstance(output, tuple) else states + placed

    hook = anatomy.blocks(model)[block].register_forward_hook(put)
    try:
        yield
    finally:
        hook.remove()


def pieces(task: Task, side: str, only: Iterable[int] | None = None) -> Iterator[Tensor]:
    """Rows of a side, or those that are asked for, near in length, as many together as a pass with gradients takes."""
    import torch

    lengths = task.side(side).texts.lengths
    rows = torch.arange(len(lengths)) if only is None else torch.tensor(sorted(only))
    rows, most = rows[lengths[rows].argsort(stable=True)], PASS // task.model.config.hidden_size
    while len(rows):
        # Padded to the longest: as many as still fit.
        padded = lengths[rows] * torch.arange(1, len(rows) + 1)
        count = max(1, int((padded <= most).sum()))
        yield rows[:count]
        rows = rows[count:]


@dataclass(frozen=True)
class Aim:
    """How a target is found: steps of Adam on the mean NLL of an answer token plus decay * |added| / |state|^2.

    rate: in units of the root mean square of a state's features. clamp: how long what is added may be, in lengths of
    the state.
    """

    steps: int
    rate: float
    decay: float
    clamp: float


def aimed(
    task: Task,
    side: str,
    groups: list[list[int]],
    place: Callable[[Batch], Tensor],
    aim: Aim,
    *,
    shared: bool = False,
    start: Tensor | None = None,
) -> Tensor:
    """What has to be added to the states of groups of rows, at the band's output, for the side's answers to follow.

    [n, D], where it starts as `start`, by default at zero; with `shared` one for all groups [1, D].
    """
    import torch

    with torch.no_grad():
        states = means(task, side, lambda batch: task.output(batch)[place(batch)], groups)
    if shared:
        states = states.square().mean(0, keepdim=True).sqrt()
    width = states.shape[1]
    norms = states.norm(dim=1, keepdim=True)
    unit = norms / width**0.5
    numbers = [0] * len(groups) if shared else range(len(groups))
    owner = {row: number for number, rows in zip(numbers, groups) for row in rows}
    weight = {row: 1 / len(rows) / (len(groups) if shared else 1) for rows in groups for row in rows}
    exact = torch.float32
    u = torch.zeros_like(states, dtype=exact) if start is None else (start.to(states) / unit).to(exact)
    u.requires_grad_(True)
    unit, norms = unit.to(exact), norms.to(exact)
    optimizer = torch.optim.Adam([u], lr=aim.rate)
    with torch.enable_grad():
        for _ in range(aim.steps):
            total = torch.zeros_like(u)
            for rows in pieces(task, side, owner):
                batch = task.batch(side, rows)
                mine = torch.tensor([owner[row] for row in rows.tolist()], device=u.device)
                share = torch.tensor([weight[row] for row in rows.tolist()], device=u.device)
                with raised(task.model, task.band.stop - 1, place(batch), (unit * u)[mine]):
                    logprob, tokens = task.answer_logprobs(batch)
                    (gradient,) = torch.autograd.grad(-(share * logprob / tokens).sum(), u)
                total += gradient
            if aim.decay:
                longer = ((unit * u).square().sum(1) + 1e-12).sqrt() / norms[:, 0].square()
                total += torch.autograd.grad(aim.decay * longer.sum(), u)[0]
            u.grad = total
            optimizer.step()
            with torch.no_grad():
                u.copy_(clamped(unit * u, aim.clamp * norms) / unit)
    return (unit * u).detach()
