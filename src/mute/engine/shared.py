"""Token sequences to be read from, each beginning that they share kept and computed once: questions and their options.

As `sections.Texts`, for models whose blocks `mute.models.tree` knows. N nodes, D hidden.
"""

import math

import torch
from torch import Tensor

from mute.engine import sections
from mute.jobs import progress
from mute.models import tree
from mute.models.anatomy import Model
from mute.models.tree import Tree

# Nodes that run together: what they make of an MLP stays near the core.
NODES = 1024


class SharedTexts(sections.Prefix):
    """States of all nodes [N, D], at the input of one block; `most_gb` as in `sections.Texts`.

    places: for each sequence, its nodes.
    """

    def __init__(self, model: Model, sequences: list[list[int]], most_gb: float = math.inf) -> None:
        super().__init__(model, sequences)
        self.trees: list[Tree] = []
        self.places: list[list[int]] = [[] for _ in sequences]
        self.starts = [0]
        for rows in _batches(sequences):
            grown = Tree([sequences[row] for row in rows], model.device)
            for row, nodes in zip(rows, grown.nodes):
                self.places[row] = [self.starts[-1] + node for node in nodes]
            self.trees.append(grown)
            self.starts.append(self.starts[-1] + len(grown))
        self.keep(self.starts[-1], most_gb)

    @torch.no_grad()
    def restart(self) -> None:
        self.begin()
        if self.kept:
            self.states = torch.cat([tree.embed(self.model, grown) for grown in self.trees])

    def at(self, number: int) -> Tensor:
        """States of the nodes of tree `number` [its nodes, D]."""
        if self.kept:
            self.check()
            return self.states[self.starts[number] : self.starts[number + 1]]
        grown = self.trees[number]
        return tree.run(self.model, tree.embed(self.model, grown), grown, range(self.block))

    def through(self, start: int, stop: int) -> Tensor:
        """[N, D]."""

        def compute() -> Tensor:
            blocks = range(start, stop)
            trees = enumerate(progress.each(self.trees, "batch of states"))
            return torch.cat([tree.run(self.model, self.at(i), each, blocks) for i, each in trees])

        if self.cache is None:
            return compute()
        # Tokens and where they stand in rows say which trees these are.
        ids = torch.cat([each.ids for each in self.trees])
        form = torch.cat([torch.cat([each.rows, each.own]) for each in self.trees])
        return self.cache.states(self.model, ids, form, stop, compute)


def texts(model: Model, sequences: list[list[int]], most_gb: float) -> "SharedTexts | sections.Texts":
    """The sequences of questions, shared where the model's blocks are known, on the CPU."""
    if model.device.type == "cpu" and tree.supports(model):
        return SharedTexts(model, sequences, most_gb)
    return sections.Texts(model, sequences, most_gb=most_gb)


def _batches(sequences: list[list[int]]) -> list[list[int]]:
    """Rows that run together: neighbours in the order of their tokens, with about NODES nodes."""
    order = sorted(range(len(sequences)), key=sequences.__getitem__)
    batches: list[list[int]] = []
    size, before = NODES, []
    for row in order:
        own = sequences[row]
        shared = next((i for i, (a, b) in enumerate(zip(own, before)) if a != b), min(len(own), len(before)))
        if size + len(own) - shared > NODES:
            batches.append([])
            size, shared = 0, 0
        batches[-1].append(row)
        size, before = size + len(own) - shared, own
    return batches
