"""Puts an algorithm and the engine together: one cell's unlearning, its stopping point, and its patch."""

import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import torch

from mute.bands import Band
from mute.engine import low_rank, sections
from mute.engine.band import Batch, Task, TextSet, drawn_rows
from mute.engine.compact import CompactSteps
from mute.engine.steps import Steps
from mute.evaluate.subject import Subject
from mute.jobs import progress
from mute.models import patches
from mute.store.artifacts import seed_of
from mute.store.records import Record
from mute.unlearn import dose
from mute.unlearn.base import Descent, Edit, Guard, Method, NotApplicable, Settings
from mute.unlearn.bench import Workbench
from mute.unlearn.control import Control
from mute.unlearn.dose import Matching

__all__ = ["Matching", "Outcome", "Workbench", "number", "unlearn"]

Value = TypeVar("Value")
Row = dict[str, float]
# The search of an edit whose scale is bounded begins so many halvings below the bound.
HALVINGS = 7


@dataclass
class Outcome:
    """What unlearning gave: status, the changed tensors, and how it went.

    curve: rows of every strength that was tried, one per step: strength, step, loss; at looks knowledge and size too,
    and in the last row of each strength of `matched` its damage; a row of the dose has `share`, how far it lies from
    the look before to the look after. strength: the one that was kept. size: norm of the change relative to the norm of
    the parameters that may change; NaN of a guard. damage: of validation lines, see `Workbench.damage`; NaN where
    nobody asked. step_size: the scale of an edit. diverged_at: the first step whose loss, gradient or model was no
    number; None unless the status is `diverged`. reason: why a method cannot run on these texts, where the status is
    `not_applicable`; nothing was changed then. fitted: of an edit that a guard is chained to, the guard's tensors.
    """

    status: str
    tensors: patches.Tensors = field(default_factory=dict)
    fitted: patches.Tensors = field(default_factory=dict)
    steps: int = 0
    size: float = math.nan
    knowledge: float = math.nan
    retained: float = math.nan
    damage: float = math.nan
    curve: list[Row] = field(default_factory=list)
    strength: float | None = None
    step_size: float | None = None
    diverged_at: int | None = None
    last_loss: float | None = None
    reason: str = ""

    def told(self, *keys: str) -> Record:
        """Some of it, as a record holds it."""
        return {key: number(getattr(self, key)) for key in keys}

    @property
    def rank(self) -> tuple[int, float, float]:
        """Of several strengths the one whose rank is least is kept."""
        return dose.rank(self.status, damage=self.damage, knowledge=self.knowledge, steps=self.steps)


def number(value: Value) -> Value | None:
    """What JSON can hold of a value: a number that is none, or infinite, becomes null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def unlearn(
    bench: Workbench, algorithm: Method, band: Band, *, protocol: str, seed: int, path: type[Task] = Task
) -> Outcome:
    """Run one algorithm on one band and leave the model as it was.

    protocol: `paper` runs all steps at the settings' own strength. `matched` takes every one of the settings' strengths
    to the dose, the same source knowledge, and keeps the one that damages validation lines least (`dose`). The draws
    depend on `seed`, not on band or strength: all are compared on the same batches. path: the engine's or, to compare
    with, `engine.reference.WholeModel`.
    """
    if reason := algorithm.applies(bench.view):
        return Outcome("not_applicable", reason=reason)
    runs = algorithm.runs
    sides = bench.sides(algorithm)
    bench.advance(band.start)
    names = runs.parameters(bench.model, band)
    compact = runs.settings.optimizer == "compact" if isinstance(runs.settings, Settings) else False
    if compact:
        bench.make_room()
    before = patches.take(bench.model, names, "cpu" if compact else None)
    best: Outcome | None = None
    curve: list[Row] = []
    try:
        for strength in progress.each(runs.strengths if protocol == "matched" else [None], "strength"):
            task = path(bench.model, band, sides["forget"], sides["retain"], seed, sides)
            tried = _run(bench, task, runs if strength is None else runs.at(strength), names, before, protocol)
            tried.strength = strength
            if tried.curve and protocol == "matched":
                tried.curve[-1]["damage"] = tried.damage
            curve += [row if strength is None else {"strength": strength, **row} for row in tried.curve]
            best = tried if best is None else min(best, tried, key=lambda outcome: outcome.rank)
            _restore(bench, band, before)
        assert best is not None
        best.curve = curve
        if isinstance(algorithm, Control) and best.status != "diverged":
            made = algorithm.instead(before, best.tensors, seed)
            if made is not best.tensors:
                patches.put(bench.model, made)
                _measured(bench, band, best, names, before, protocol)
        if algorithm.guard is not None and algorithm.guard is not runs and best.status != "diverged":
            best.fitted = _chained(bench, algorithm.guard, best.tensors, band, seed)
        return best
    except NotApplicable as reason:
        return Outcome("not_applicable", reason=str(reason))
    finally:
        _restore(bench, band, before)


def _restore(bench: Workbench, band: Band, before: patches.Tensors) -> None:
    """The model as it was, and no gradients; where its embeddings changed, the texts' states anew."""
    bench.model.requires_grad_(False)
    patches.put(bench.model, before)
    if band.full:
        bench.restart()


def _run(
    bench: Workbench, task: Task, algorithm: Method, names: list[str], before: patches.Tensors, protocol: str
) -> Outcome:
    """One method at one strength; what it made of the parameters `names` is left in the model."""
    task.train(names)
    algorithm.prepare(task)
    if isinstance(algorithm, Guard):
        return _checked(_fit(bench, task, algorithm, protocol), bench)
    if isinstance(algorithm, Edit):
        outcome = _edit(bench, task, algorithm, names, before, protocol)
    else:
        assert isinstance(algorithm, Descent)
        run = _Descending(bench, task, algorithm, names, before)
        outcome = run.all() if protocol == "paper" else run.to_the_dose()
    outcome.last_loss = next((row["loss"] for row in reversed(outcome.curve) if "loss" in row), None)
    return _measured(bench, task.band, outcome, names, before, protocol)


def _measured(
    bench: Workbench, band: Band, outcome: Outcome, names: list[str], before: patches.Tensors, protocol: str
) -> Outcome:
    """The outcome with what the model is now: its tensors, their size, and what is known, kept and damaged."""
    outcome.knowledge = bench.knowledge(band)
    outcome.retained = bench.retained(band)
    if protocol == "matched":
        # Of each strength once, where it ended: to ask at every look would cost a fifth of all work.
        outcome.damage = bench.damage(band)
    outcome.tensors = patches.take(bench.model, names)
    outcome.size = _size(outcome.tensors, before)
    return _checked(outcome, bench)


def _checked(outcome: Outcome, bench: Workbench) -> Outcome:
    """The outcome, diverged too where all losses were numbers and the model after the last step gives none.

    What a run had come to before it diverged is no measure of the method: it has forgotten nothing and kept nothing.
    """
    numbers = all(bool(tensor.isfinite().all()) for tensor in outcome.tensors.values())
    asked = [outcome.knowledge] * bench.measurable + [outcome.retained] * ("retain" in bench.questions)
    if outcome.status == "diverged" or not numbers or any(math.isnan(value) for value in asked):
        outcome.status = "diverged"
        outcome.diverged_at = outcome.diverged_at or max(outcome.steps, 1)
        outcome.knowledge = outcome.retained = outcome.damage = math.nan
    return outcome


def _size(after: Mapping[str, torch.Tensor], before: Mapping[str, torch.Tensor]) -> float:
    change = sum(float((after[n] - before[n].to(after[n].device)).double().square().sum()) for n in before)
    return math.sqrt(change / sum(float(t.double().square().sum()) for t in before.values()))


def between(one: patches.Tensors, other: patches.Tensors, share: float) -> patches.Tensors:
    """The tensors at a share of the way from one to the other, exact at both ends; rounded to their type at the end."""
    return {n: torch.lerp(t.float(), other[n].float(), share).to(t.dtype) for n, t in one.items()}


def _groups(texts: TextSet, order: str, sources: list[str]) -> list[torch.Tensor]:
    """Rows that are drawn together: all, or those of one language after those of another, source languages first."""
    if order == "interleaved":
        return [torch.arange(len(texts))]
    languages = [code for code in sources if code in texts.languages]
    languages += sorted(set(texts.languages) - set(sources))
    return [torch.tensor([row for row, own in enumerate(texts.languages) if own == code]) for code in languages]


class _Descending:
    """Gradient steps of one method, at one strength, on one band; `names`, `before`: the parameters that change."""

    def __init__(
        self, bench: Workbench, task: Task, algorithm: Descent, names: list[str], before: patches.Tensors
    ) -> None:
        self.bench, self.task, self.algorithm = bench, task, algorithm
        self.names, self.before = names, before
        self.curve: list[Row] = []
        self.diverged_at: int | None = None

    def all(self) -> Outcome:
        """All steps, as `paper` takes them."""
        patches.put(self.task.model, self._steps())
        return self._ended("ok")

    def to_the_dose(self) -> Outcome:
        """As far as the dose: the weights between the looks before and after it; or all steps, if it is not reached."""
        bench, matching, band = self.bench, self.bench.matching, self.task.band
        # The last two looks: weights, and what was known.
        last, known = [self.before, self.before], (1.0, 1.0)

        def enough(tensors: patches.Tensors) -> bool:
            nonlocal known
            last[:] = last[1], tensors
            known = known[1], self._look(tensors)
            if bench.measurable and math.isnan(known[1]):
                # A loss that reads the model below what broke would go on for ever.
                self.diverged_at = int(self.curve[-1]["step"])
            return known[1] <= matching.target or self.diverged_at is not None

        patches.put(
            self.task.model, self._steps(dose.look_steps(self.algorithm.settings.steps, matching.looks), enough)
        )
        if not known[1] <= matching.target or self.diverged_at:
            return self._ended("not_reached")

        def knowledge(share: float) -> float:
            patches.put(self.task.model, between(*last, share))
            return bench.knowledge(band)

        share = dose.at_dose(knowledge, 0.0, 1.0, known, matching=matching, resolution=bench.resolution)
        patches.put(self.task.model, there := between(*last, share))
        if share < 1:
            self.curve.append({"step": self.curve[-1]["step"], "share": share})
            self._look(there)
        return self._ended("ok")

    def _ended(self, status: str) -> Outcome:
        steps = int(self.curve[-1]["step"]) if self.curve else 0
        return Outcome(
            "diverged" if self.diverged_at else status, steps=steps, curve=self.curve, diverged_at=self.diverged_at
        )

    def _look(self, tensors: patches.Tensors) -> float:
        """Note what the model is now, whose tensors these are; returns what it knows."""
        known = self.bench.knowledge(self.task.band)
        self.curve[-1] |= {"knowledge": known, "size": _size(tensors, self.before)}
        return known

    def _steps(
        self, looks: Collection[int] = (), enough: Callable[[patches.Tensors], bool] = lambda tensors: False
    ) -> patches.Tensors:
        """Take steps until a look says that it is enough; looks: after which steps.

        Returns what has become of the parameters, but for those that hold it already. A step whose loss or gradient is
        no number is not taken, and is the last.
        """
        task, algorithm, settings = self.task, self.algorithm, self.algorithm.settings
        model = task.model
        with algorithm.trainables(task, self.names) as trained:
            whole = trained == self.names
            parameters = dict(model.named_parameters())
            moved = [parameters[name] for name in trained]
            if settings.optimizer == "compact":
                descent = CompactSteps(moved, settings.learning_rate, seed_of(task.seed, "rounding"))
            else:
                descent = Steps(moved, settings.learning_rate)
            orders = {
                name: drawn_rows(
                    _groups(task.side(name), settings.order, self.bench.sources),
                    settings.batch_size,
                    seed_of(task.seed, name),
                )
                for name in task.sides
            }
            for step in progress.each(range(1, settings.steps + 1), "step"):
                batches = {name: task.batch(name, next(rows)) for name, rows in orders.items()}
                loss = _step(descent, algorithm, task, batches, trained)
                if loss is None:
                    self.diverged_at = step
                    break
                self.curve.append({"step": step, "loss": float(loss.detach())})
                if step in looks:
                    now = patches.take(model, self.names) if whole else low_rank.merged(model, self.names)
                    if enough(now):
                        break
            descent.end()
            return {} if whole else low_rank.merged(model, self.names)


def _step(
    descent: Steps | CompactSteps, algorithm: Descent, task: Task, batches: Mapping[str, Batch], names: list[str]
) -> torch.Tensor | None:
    """Take a step and return the loss before it; None where loss or gradient is no number, and the run ends."""
    if isinstance(descent, CompactSteps) and type(algorithm).gradients is Descent.gradients:
        # Gradients that nobody looks at together are let go one by one.
        loss = algorithm.loss(task, batches)
        return loss.detach() if bool(loss.isfinite()) and descent.descend(loss) else None
    loss, gradients = algorithm.gradients(task, batches, names)
    if not all(bool(x.isfinite().all()) for x in (loss, *gradients) if x is not None):
        return None
    descent.take(gradients)
    return loss.detach()


def _fit(bench: Workbench, task: Task, algorithm: Guard, protocol: str) -> Outcome:
    """Fit a guard; no weight changes, so that nothing has a size."""
    tensors = algorithm.fit(task)
    knowledge, retained, damage = bench.under(Subject(task.model, [algorithm.treatment(tensors)]))
    reached = protocol == "paper" or knowledge <= bench.matching.target
    damage = damage if protocol == "matched" else math.nan
    return Outcome("ok" if reached else "not_reached", tensors, knowledge=knowledge, retained=retained, damage=damage)


def _chained(bench: Workbench, guard: Guard, tensors: patches.Tensors, band: Band, seed: int) -> patches.Tensors:
    """What a guard is fitted to on an edited model; the edit is left in the model, and all texts at their beginning."""
    patches.put(bench.model, tensors)
    sides = bench.sides(guard)
    bench.restart()
    chosen = Band.named(guard.bands[0], sections.depth(bench.model)) if guard.bands else band
    task = Task(bench.model, chosen, sides["forget"], sides["retain"], seed, sides)
    bench.advance(chosen.start)
    bench.model.requires_grad_(False)
    guard.prepare(task)
    fitted = guard.fit(task)
    bench.restart()
    return fitted


def _edit(
    bench: Workbench, task: Task, algorithm: Edit, names: list[str], before: patches.Tensors, protocol: str
) -> Outcome:
    """One step along the change; `matched` searches the scale at which the dose is reached."""
    matching, band = bench.matching, task.band
    direction = algorithm.change(task)
    task.model.requires_grad_(False)
    norm = math.sqrt(sum(float(t.double().square().sum()) for t in before.values()))
    length = math.sqrt(sum(float(d.double().square().sum()) for d in direction.values()))
    curve: list[Row] = []

    def put(step_size: float) -> None:
        patches.put(task.model, {name: before[name] + step_size * direction[name] for name in names})

    def knowledge(size: float) -> float:
        put(size * norm / length)
        curve.append({"step": len(curve) + 1, "size": size, "knowledge": bench.knowledge(band)})
        return curve[-1]["knowledge"]

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
    before_high = 1.0
    while not (known := knowledge(high)) <= matching.target:
        low, high, before_high = high, 2 * high, known
        if high > largest:
            return done("not_reached", low * norm / length)
    around = (before_high, known)
    size = dose.at_dose(knowledge, low, high, around, matching=matching, resolution=bench.resolution)
    return done("ok", size * norm / length)
