"""Runs blocks on sequences that begin alike, each beginning once: a tree of tokens, without any padding.

What a causal model makes of a token depends on the tokens before it alone, so sequences share the states of all that
they begin with. N nodes (a token after its beginning), D hidden, H heads; B rows, T places. Only attention sees the
sequences as rows, [B, T]; all else runs on the nodes, [N, D].
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from mute.models import anatomy, hooks
from mute.models.anatomy import Model

# Attention runs on rows of a multiple of so many places: torch's kernel takes twice as long for one place less.
WIDTH = 16
# Rows that attention takes at once: what it gathers stays near the core.
ROWS = 64
FAMILIES = ("llama", "qwen2", "qwen3", "gemma3_text", "bloom")
WINDOWED = "sliding_attention"


class Tree:
    """The nodes of some sequences.

    ids, places: token and position of each node [N]. nodes: for each sequence, its nodes. rows: for attention, the
    nodes of sequences that have every node among them, padded on the right, one after the other [sum of B * T]; shapes:
    [B, T] of what attention takes at once. own: where each node stands in the rows [N].
    """

    def __init__(self, sequences: Iterable[Sequence[int]], device: torch.device | str = "cpu") -> None:
        known: dict[tuple[int, int], int] = {}
        ids: list[int] = []
        places: list[int] = []
        self.nodes: list[list[int]] = []
        inner: set[int] = set()
        for sequence in sequences:
            node, path = -1, []
            for place, token in enumerate(sequence):
                below = known.setdefault((node, token), len(ids))
                if below == len(ids):
                    ids.append(token)
                    places.append(place)
                inner.add(node)
                path.append(below)
                node = below
            self.nodes.append(path)
        self.ids, self.places = (torch.tensor(x, device=device) for x in (ids, places))
        # A sequence that another begins with, and the second of two that are one, needs no row.
        leaves = {path[-1]: path for path in self.nodes if path[-1] not in inner}
        rows, own, start = [], [0] * len(ids), 0
        self.shapes: list[tuple[int, int]] = []
        for width, paths in sorted(_by_width(leaves.values()).items()):
            for first in range(0, len(paths), ROWS):
                some = paths[first : first + ROWS]
                for row, path in enumerate(some):
                    for place, node in enumerate(path):
                        own[node] = start + row * width + place
                    rows += path + path[-1:] * (width - len(path))
                self.shapes.append((len(some), width))
                start += len(some) * width
        self.rows, self.own = (torch.tensor(x, device=device) for x in (rows, own))

    def __len__(self) -> int:
        return len(self.ids)


def _by_width(paths: Iterable[list[int]]) -> dict[int, list[list[int]]]:
    found: dict[int, list[list[int]]] = {}
    for path in paths:
        found.setdefault(-(-len(path) // WIDTH) * WIDTH, []).append(path)
    return found


def supports(model: Model) -> bool:
    """Whether the blocks of this model are known here: those of FAMILIES, as their configurations have them.

    Blocks that something hooks into are not: the tree runs their parts and never calls them.
    """
    config = model.config
    # What a configuration may ask for beside what is run here; a window without a width is an error of its own.
    beside = ("attn_logit_softcapping", "use_bidirectional_attention")
    known = config.model_type in FAMILIES and not any(getattr(config, name, None) for name in beside)
    known = known and set(_kinds(model)) <= {"full_attention", WINDOWED}
    if WINDOWED in _kinds(model):
        known = known and bool(getattr(config, "sliding_window", None))
    return known and not hooks.on_blocks(model, range(len(anatomy.blocks(model))))


def _kinds(model: Model) -> list[str]:
    """What each block's attention sees."""
    return list(getattr(model.config, "layer_types", None) or ["full_attention"] * len(anatomy.blocks(model)))


def embed(model: Model, tree: Tree) -> Tensor:
    """The input of block 0 [N, D]. By rows: a filter on embeddings reads what stands before a token."""
    known, core = anatomy.anatomy(model), anatomy.backbone(model)
    pieces = tree.ids[tree.rows].split([rows * width for rows, width in tree.shapes])
    embedded = [getattr(core, known.embeddings)(ids.view(shape)) for ids, shape in zip(pieces, tree.shapes)]
    hidden = torch.cat([rows.flatten(0, 1) for rows in embedded]).index_select(0, tree.own)
    return getattr(core, known.embedding_norm)(hidden) if known.embedding_norm else hidden


def run(model: Model, hidden: Tensor, tree: Tree, blocks: Sequence[int], read: Tensor | None = None) -> Tensor:
    """The blocks, one after the other, on their input `hidden` [N, D]; not normalised at the end.

    read: the nodes whose output is asked for, [R]; the result is then [R, D], and the last block's MLP runs on them
    alone. Raises RuntimeError where something hooks into one of the blocks: it would not run, and nobody would know.
    """
    layers = anatomy.blocks(model)
    if standing := hooks.on_blocks(model, blocks):
        raise RuntimeError(
            f"a tree of tokens passes over what hooks into blocks ({hooks.listed(standing)}): "
            "make the texts while the hooks stand, or ask through mute.evaluate.subject.Subject"
        )
    steps = _steps(model, hidden, tree, blocks)
    for block in blocks:
        hidden = steps[block](layers[block], hidden, tree, read if block == blocks[-1] else None)
    return hidden if blocks or read is None else hidden.index_select(0, read)


def _steps(model: Model, hidden: Tensor, tree: Tree, blocks: Sequence[int]) -> dict[int, Callable[..., Tensor]]:
    """What runs each block: attention sees another bias, other rotations or a window, by the block's kind."""
    if model.config.model_type == "bloom":
        return dict.fromkeys(blocks, partial(_bloom, _alibi(model, tree, hidden)))
    kinds = {block: _kinds(model)[block] for block in blocks}
    made = {k: partial(_llama, _rotation(model, tree, hidden, k), _windows(model, tree, k)) for k in {*kinds.values()}}
    return {block: made[kind] for block, kind in kinds.items()}


def _llama(
    rotation: tuple[Tensor, Tensor],
    windows: dict[int, Tensor],
    layer: Any,
    hidden: Tensor,
    tree: Tree,
    read: Tensor | None,
) -> Tensor:
    attention = layer.self_attn
    normed = layer.input_layernorm(hidden)
    heads = (len(hidden), -1, attention.head_dim)
    query, key = (part(normed).view(heads) for part in (attention.q_proj, attention.k_proj))
    if hasattr(attention, "q_norm"):
        # Qwen3 and Gemma 3 norm queries and keys, head by head.
        query, key = attention.q_norm(query), attention.k_norm(key)
    parts = (_rotated(query, *rotation), _rotated(key, *rotation), attention.v_proj(normed).view(heads))
    attended = (_attended(q, k, v, windows, attention.scaling) for q, k, v in zip(*(_in_rows(p, tree) for p in parts)))
    mixed = attention.o_proj(_picked(attended, tree, read))
    kept = hidden if read is None else hidden.index_select(0, read)
    if hasattr(layer, "pre_feedforward_layernorm"):
        # Gemma 3 norms what it adds, too.
        hidden = kept + layer.post_attention_layernorm(mixed)
        return hidden + layer.post_feedforward_layernorm(layer.mlp(layer.pre_feedforward_layernorm(hidden)))
    hidden = kept + mixed
    return hidden + layer.mlp(layer.post_attention_layernorm(hidden))


def _attended(query: Tensor, key: Tensor, value: Tensor, windows: dict[int, Tensor], scale: float) -> Tensor:
    """[B, H, T, d]; rows that fit into a window need none."""
    mask = windows.get(query.shape[2])
    return scaled_dot_product_attention(
        query, key, value, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=True
    )


def _bloom(bias: dict[int, Tensor], layer: Any, hidden: Tensor, tree: Tree, read: Tensor | None) -> Tensor:
    attention = layer.self_attention
    normed = layer.input_layernorm(hidden)
    parts = attention.query_key_value(normed).view(len(hidden), attention.num_heads, 3, attention.head_dim)
    attended = (
        scaled_dot_product_attention(
            *rows.unbind(3), attn_mask=bias[rows.shape[2]], dropout_p=0.0, scale=attention.inv_norm_factor
        )
        for rows in _in_rows(parts, tree)
    )
    mixed = attention.dense(_picked(attended, tree, read))
    kept = normed if layer.apply_residual_connection_post_layernorm else hidden
    hidden = (kept if read is None else kept.index_select(0, read)) + mixed
    normed = layer.post_attention_layernorm(hidden)
    return layer.mlp(normed, normed if layer.apply_residual_connection_post_layernorm else hidden)


def _in_rows(parts: Tensor, tree: Tree) -> list[Tensor]:
    """What each head [N, H, ...] of each node gives, as rows [B, H, T, ...]."""
    every = parts.index_select(0, tree.rows).split([rows * width for rows, width in tree.shapes])
    return [each.unflatten(0, shape).transpose(1, 2) for each, shape in zip(every, tree.shapes)]


def _picked(attended: Iterable[Tensor], tree: Tree, read: Tensor | None) -> Tensor:
    """What attention gave each node (each that is read), from rows [B, H, T, d]: [N, H * d]."""
    flat = [rows.transpose(1, 2).flatten(2).flatten(0, 1) for rows in attended]
    return torch.cat(flat).index_select(0, tree.own if read is None else tree.own[read])


def _windows(model: Model, tree: Tree, kind: str) -> dict[int, Tensor]:
    """For widths of rows that a window is shorter than, which places [T, T] each place of a row sees."""
    if kind != WINDOWED:
        return {}
    window, made = model.config.sliding_window, {}
    for width in {width for _, width in tree.shapes if width > window}:
        seen = torch.ones(width, width, dtype=torch.bool, device=tree.ids.device)
        made[width] = seen.tril() & seen.triu(1 - window)
    return made


def _rotation(model: Model, tree: Tree, hidden: Tensor, kind: str) -> tuple[Tensor, Tensor]:
    """Cosine and sine of each node's place [N, 1, d]; the sine's first half is negated."""
    core: Any = anatomy.backbone(model)
    # Gemma 3 turns local and global attention at two rates.
    own = (kind,) if model.config.model_type == "gemma3_text" else ()
    cos, sin = core.rotary_emb(hidden, tree.places[None], *own)
    first, second = sin[0].chunk(2, -1)
    return cos[0][:, None], torch.cat([-first, second], -1)[:, None]


def _rotated(heads: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.addcmul(heads * cos, heads.roll(heads.shape[-1] // 2, -1), sin)


def _alibi(model: Model, tree: Tree, hidden: Tensor) -> dict[int, Tensor]:
    """What is added to the scores of rows of each width: BLOOM's slopes, and the mask of what comes later [H, T, T]."""
    core: Any = anatomy.backbone(model)
    bias = {}
    for width in {width for _, width in tree.shapes}:
        everything = torch.ones(1, width, device=hidden.device)
        slopes = core.build_alibi_tensor(everything, model.config.n_head, hidden.dtype)
        later = torch.ones(width, width, dtype=torch.bool, device=hidden.device).triu(1)
        bias[width] = slopes.expand(-1, width, -1).masked_fill(later, -torch.inf)[None]
    return bias
