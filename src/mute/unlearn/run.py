"""Puts an algorithm and the engine together: one cell's unlearning, its stopping point, and its patch."""

import math
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pandas as pd
import torch

from mute.bands import Band
from mute.corpus.schema import Corpus
from mute.engine import low_rank
from mute.engine.band import Task, TextSet, drawn_rows
from mute.engine.steps import Steps
from mute.evaluate.scoring import Answers, Queries
from mute.evaluate.subject import Subject
from mute.models import patches
from mute.models.anatomy import Model
from mute.models.tokenizer import Encoder
from mute.store.artifacts import seed_of
from mute.store.records import Record
from mute.unlearn.base import Descent, Edit, Guard, Method
from mute.unlearn.view import View

Value = TypeVar("Value")
# The search of an edit whose scale is bounded begins so many halvings below the bound.
HALVINGS = 7


@dataclass(frozen=True)
class Matching:
    """When the `matched` protocol stops: source knowledge K at or below `target`, asked every `every` steps."""

    target: float = 0.05
    every: int = 4
    facts: int = 64
    # An edit is searched between these sizes, relative to the norm of the parameters that it changes.
    smallest: float = 0.01
    largest: float = 4.0
    refinements: int = 4


@dataclass
class Outcome:
    """What unlearning gave: status, the changed tensors, and how it went.

    curve: one row per step: step, loss, and source knowledge where it was asked. size: norm of the change relative to
    the norm of the parameters that may change; NaN of a guard. step_size: the scale of an edit. diverged_at: the first
    step whose loss, gradient or model was no number; None unless the status is `diverged`. reason: why a method cannot
    run on these texts, where the status is `not_applicable`; nothing was changed then.
    """

    status: str
    tensors: patches.Tensors = field(default_factory=dict)
    steps: int = 0
    size: float = math.nan
    knowledge: float = math.nan
    retained: float = math.nan
    curve: list[dict[str, float]] = field(default_factory=list)
    step_size: float | None = None
    diverged_at: int | None = None
    reason: str = ""

    @property
    def last_loss(self) -> float | None:
        """The last loss that was a number; None where there was none, as of an edit."""
        return next((row["loss"] for row in reversed(self.curve) if "loss" in row), None)

    def told(self, *keys: str) -> Record:
        """Some of it, as a record holds it."""
        return {key: number(getattr(self, key)) for key in keys}


def number(value: Value) -> Value | None:
    """What JSON can hold of a value: a number that is none, or infinite, becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


class Workbench:
    """A model with the texts of one forget set, source languages and retain coverage, moved up block by block.

    Nothing here reads held-out languages (but the retain texts, where the coverage says so), test forms, or test facts.
    """

    def __init__(
        self,
        model: Model,
        encoder: Encoder,
        corpus: Corpus,
        *,
        languages: list[str],
        sources: list[str],
        forget_set: str,
        retain: str,
        matching: Matching,
        seed: int,
        oracle: pd.DataFrame | None,
    ) -> None:
        self.model, self.matching, self.sources, self.seed = model, matching, sources, seed
        self.encoder = encoder
        about, roles, texts = corpus.about, corpus.roles(forget_set), corpus.texts
        self.view = View.of(corpus, languages=languages, sources=sources, forget_set=forget_set, retain=retain)
        self.forget = TextSet(model, self.view.forget, encoder)
        self.retain = TextSet(model, self.view.retain, encoder)
        asked = texts[texts["language"].isin(sources) & (texts["form"] == about["unlearning_forms"][0])]
        asked = asked.assign(set="facts", role=asked["item"].map(roles))
        forget_items = sorted(roles.index[roles == "forget"], key=lambda item: seed_of(seed, "probe", item))
        probe = asked[asked["item"].isin(forget_items[: matching.facts])]
        validation = corpus.facts.loc[corpus.facts["validation"], "item"]
        check = asked[asked["item"].isin(validation) & (asked["role"] == "retain_unseen")]
        self.questions = {"forget": Queries(probe, encoder)}
        if len(check):
            self.questions["retain"] = Queries(check, encoder)
        self.asked = {name: q.texts(model) for name, q in self.questions.items()}
        self.base = {name: self.accuracy(name) for name in self.questions}
        self.floor = _floor(probe, oracle)

    # What the last method read beside the two sides, and which method that was.
    further: dict[str, TextSet] = {}  # noqa: RUF012  replaced, never written to
    of: tuple[str, Any] | None = None

    def sides(self, method: Method) -> dict[str, TextSet]:
        """The text sets of what a method reads; those beside forget and retain are kept for its next run."""
        read, own = method.reads(self.view), {"forget": self.view.forget, "retain": self.view.retain}
        if self.of != (method.name, method.settings):
            new = {name: rows for name, rows in read.items() if rows is not own.get(name)}
            self.further = {name: TextSet(self.model, rows, self.encoder) for name, rows in new.items()}
            self.of = method.name, method.settings
        return {name: self.further.get(name) or getattr(self, name) for name in read}

    def _texts(self) -> list[Any]:
        sides = (self.forget, self.retain, *self.further.values())
        return [*(side.texts for side in sides), *self.asked.values()]

    def advance(self, block: int) -> None:
        """Move every text to the input of `block`; `restart` goes back to the first."""
        for texts in self._texts():
            texts.advance(block)

    def restart(self) -> None:
        for texts in self._texts():
            texts.restart()

    def accuracy(self, name: str) -> float:
        """Share of the `forget` or `retain` questions whose gold option is the likeliest, as the model is now."""
        return _share(self.questions[name].run(self.model, self.asked[name]))

    @property
    def measurable(self) -> bool:
        """Whether the base knows more than the floor: else there is nothing to forget, and no run is stopped."""
        return self.base["forget"] - self.floor > 0.05

    def under(self, subject: Subject) -> tuple[float, float]:
        """Knowledge and retained accuracy, as below, of a model that is guarded."""
        with subject.installed():
            found = {name: _share(subject.ask(queries)) for name, queries in self.questions.items()}
        return self._known(found["forget"]), self._kept(found.get("retain", math.nan))

    def _known(self, accuracy: float) -> float:
        return (accuracy - self.floor) / (self.base["forget"] - self.floor) if self.measurable else math.nan

    def _kept(self, accuracy: float) -> float:
        return accuracy / max(self.base["retain"], 1e-9) if "retain" in self.questions else math.nan

    def knowledge(self, band: Band) -> float:
        """K on source languages, (A - A_floor) / (A_base - A_floor): 1 as the base, 0 as one who never knew.

        NaN where it is not measurable, and for a model that diverged.
        """
        if not self.measurable:
            return math.nan
        if band.full:
            self.asked["forget"].restart()
        return self._known(self.accuracy("forget"))

    def retained(self, band: Band) -> float:
        """Accuracy on validation facts of the retain domains relative to the base; NaN where there are none."""
        if "retain" not in self.questions:
            return math.nan
        if band.full:
            self.asked["retain"].restart()
        return self._kept(self.accuracy("retain"))


def _share(answers: Answers) -> float:
    """Share of questions whose gold option is the likeliest.

    NaN for a model whose answers are no numbers: it has diverged, and that is no erasure.
    """
    return math.nan if bool(answers.logprob.isnan().any()) else float(answers.option_hits().float().mean())


def _floor(probe: pd.DataFrame, oracle: pd.DataFrame | None) -> float:
    """Accuracy of one who never knew: the oracle's on the same questions, or chance."""
    if oracle is None:
        return float((1 / probe["options"].map(len)).mean())
    from mute.evaluate.item_table import items

    keys = ["item", "language", "form"]
    known = items(oracle[oracle["set"] == "facts"]).set_index(keys)["option"]
    return float(known.loc[pd.MultiIndex.from_frame(probe[keys])].mean())


def unlearn(
    bench: Workbench,
    algorithm: Method,
    band: Band,
    *,
    protocol: str,
    seed: int,
    strength: float | None = None,
    path: type[Task] = Task,
) -> Outcome:
    """Run one algorithm on one band and leave the model as it was.

    protocol: `paper` runs all steps at the settings' own strength; `matched` runs at `strength` until source knowledge
    is erased. The draws depend on `seed`, not on the band: depths are compared on the same batches. path: the engine's
    or, to compare with, `engine.reference.WholeModel`.
    """
    model = bench.model
    if reason := algorithm.applies(bench.view):
        return Outcome("not_applicable", reason=reason)
    sides = bench.sides(algorithm)
    bench.advance(band.start)
    if strength is not None and isinstance(algorithm, Descent):
        algorithm = type(algorithm)(algorithm.settings.model_copy(update={algorithm.settings.strength: strength}))
    task = path(model, band, sides["forget"], sides["retain"], seed, sides)
    names = algorithm.parameters(model, band)
    before = patches.take(model, names)
    task.train(names)
    try:
        algorithm.prepare(task)
        if isinstance(algorithm, Guard):
            return _checked(_fit(bench, task, algorithm, protocol), bench)
        if isinstance(algorithm, Descent):
            outcome = _descend(bench, task, algorithm, names, protocol)
        else:
            assert isinstance(algorithm, Edit)
            outcome = _edit(bench, task, algorithm, names, before, protocol)
        outcome.knowledge = bench.knowledge(band)
        outcome.retained = bench.retained(band)
        outcome.tensors = patches.take(model, names)
        outcome.size = _size(outcome.tensors, before)
        return _checked(outcome, bench)
    finally:
        model.requires_grad_(False)
        patches.put(model, before)
        if band.full:
            bench.restart()


def _checked(outcome: Outcome, bench: Workbench) -> Outcome:
    """The outcome, diverged too where all losses were numbers and the model after the last step gives none.

    What a run had come to before it diverged is no measure of the method: it has forgotten nothing and kept nothing.
    """
    numbers = all(bool(tensor.isfinite().all()) for tensor in outcome.tensors.values())
    asked = [outcome.knowledge] * bench.measurable + [outcome.retained] * ("retain" in bench.questions)
    if outcome.status == "diverged" or not numbers or any(math.isnan(value) for value in asked):
        outcome.status = "diverged"
        outcome.diverged_at = outcome.diverged_at or max(outcome.steps, 1)
        outcome.knowledge = outcome.retained = math.nan
    return outcome


def _size(after: Record, before: Record) -> float:
    change = sum(float((after[n] - before[n]).double().square().sum()) for n in before)
    return math.sqrt(change / sum(float(t.double().square().sum()) for t in before.values()))


def _groups(texts: TextSet, order: str, sources: list[str]) -> list[torch.Tensor]:
    """Rows that are drawn together: all, or those of one language after those of another, source languages first."""
    if order == "interleaved":
        return [torch.arange(len(texts))]
    languages = [code for code in sources if code in texts.languages]
    languages += sorted(set(texts.languages) - set(sources))
    return [torch.tensor([row for row, own in enumerate(texts.languages) if own == code]) for code in languages]


def _descend(bench: Workbench, task: Task, algorithm: Descent, names: list[str], protocol: str) -> Outcome:
    """Gradient steps on what the method trains; the parameters `names` are then what it has made of them."""
    with algorithm.trainables(task, names) as trained:
        outcome = _steps(bench, task, algorithm, trained, protocol)
        made = {} if trained == names else low_rank.merged(task.model, names)
    patches.put(task.model, made)
    return outcome


def _steps(bench: Workbench, task: Task, algorithm: Descent, names: list[str], protocol: str) -> Outcome:
    """Gradient steps, stopped at matched erasure or after the settings' number of steps."""
    settings, matching, band = algorithm.settings, bench.matching, task.band
    parameters = dict(task.model.named_parameters())
    descent = Steps([parameters[name] for name in names], settings.learning_rate)
    orders = {
        name: drawn_rows(
            _groups(task.side(name), settings.order, bench.sources), settings.batch_size, seed_of(task.seed, name)
        )
        for name in task.sides
    }
    curve: list[dict[str, float]] = []
    status, diverged_at = "ok" if protocol == "paper" else "not_reached", None
    for step in range(1, settings.steps + 1):
        batches = {name: task.batch(name, next(rows)) for name, rows in orders.items()}
        loss, gradients = algorithm.gradients(task, batches, names)
        if not all(bool(x.isfinite().all()) for x in (loss, *gradients) if x is not None):
            status, diverged_at = "diverged", step
            break
        descent.take(gradients)
        curve.append({"step": step, "loss": float(loss.detach())})
        if protocol == "matched" and (step % matching.every == 0 or step == settings.steps):
            curve[-1]["knowledge"] = bench.knowledge(band)
            if curve[-1]["knowledge"] <= matching.target:
                status = "ok"
                break
            if bench.measurable and math.isnan(curve[-1]["knowledge"]):
                # A loss that reads the model below what broke would go on for ever.
                status, diverged_at = "diverged", step
                break
    descent.end()
    return Outcome(status, steps=len(curve), curve=curve, diverged_at=diverged_at)


def _fit(bench: Workbench, task: Task, algorithm: Guard, protocol: str) -> Outcome:
    """Fit a guard; no weight changes, so that nothing has a size."""
    tensors = algorithm.fit(task)
    knowledge, retained = bench.under(Subject(task.model, [algorithm.treatment(tensors)]))
    reached = protocol == "paper" or knowledge <= bench.matching.target
    return Outcome("ok" if reached else "not_reached", tensors, knowledge=knowledge, retained=retained)


def _edit(bench: Workbench, task: Task, algorithm: Edit, names: list[str], before: dict, protocol: str) -> Outcome:
    """One step along the change; `matched` searches the smallest one that erases the source knowledge."""
    matching = bench.matching
    direction = algorithm.change(task)
    task.model.requires_grad_(False)
    norm = math.sqrt(sum(float(t.double().square().sum()) for t in before.values()))
    length = math.sqrt(sum(float(d.double().square().sum()) for d in direction.values()))
    curve: list[dict[str, float]] = []

    def put(step_size: float) -> None:
        patches.put(task.model, {name: before[name] + step_size * direction[name] for name in names})

    def erased(size: float) -> bool:
        put(size * norm / length)
        curve.append({"step": len(curve) + 1, "size": size, "knowledge": bench.knowledge(task.band)})
        return curve[-1]["knowledge"] <= matching.target

    def done(status: str, step_size: float) -> Outcome:
        put(step_size)
        return Outcome(status, steps=len(curve), curve=curve, step_size=step_size)

    if not math.isfinite(length) or length == 0:
        # Zero times such a direction may be no number either; along one of no length nothing is ever reached.
        patches.put(task.model, before)
        return Outcome("not_reached" if length == 0 else "diverged", step_size=0.0)
    if protocol == "paper":
        return done("ok", getattr(algorithm.settings, algorithm.settings.strength))
    largest = matching.largest if algorithm.most is None else algorithm.most * length / norm
    low, high = 0.0, matching.smallest if algorithm.most is None else largest / 2**HALVINGS
    while not erased(high):
        low, high = high, 2 * high
        if high > largest:
            return done("not_reached", low * norm / length)
    for _ in range(matching.refinements):
        middle = (low + high) / 2
        low, high = (low, middle) if erased(middle) else (middle, high)
    return done("ok", high * norm / length)
