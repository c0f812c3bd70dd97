"""The candidate region Λ of blocks to edit, whether there is a band, the choice of α, the block chosen, and positions.

Shapes: L blocks. `cka` and `lrds` are curves of L finite numbers, one per block, index 0 the first transformer block;
the embedding layer is no candidate and is left out by the caller. Follows MUTE (arXiv 2602.22562, Appendix A),
whose published curves (Figures 2-4) and regions (Tables 5-6) the tests hold these functions against.
"""

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mute.names import unknown_name

RegionRule = Literal["literal", "hull"]
REGION_RULES: tuple[RegionRule, ...] = ("literal", "hull")

LayerRule = Literal["first_local_peak", "argmax", "deepest", "stated"]
LAYER_RULES: tuple[LayerRule, ...] = ("first_local_peak", "argmax", "deepest", "stated")

Reason = Literal["lrds_not_positive", "empty", "share_not_reached"]

ALPHA_GRID: tuple[float, ...] = tuple(step / 2 for step in range(3, 21))  # 1.5, 2.0, ... 10.0


@dataclass(frozen=True)
class Region:
    """The candidate blocks Λ, or why there are none.

    `blocks` is sorted; it is empty exactly when `reason` is given:
    - "lrds_not_positive": min LRDS <= 0, where α·min LRDS is no tolerance above the minimum (it falls as α grows);
    - "empty": no block passes both thresholds;
    - "share_not_reached": no α of the grid gives a region of the wanted size (`choose_alpha` only).
    `cka_floor` is mean CKA and `lrds_ceiling` is τ = α·min LRDS, whatever the outcome.
    """

    blocks: tuple[int, ...]
    rule: RegionRule
    alpha: float
    cka_floor: float
    lrds_ceiling: float
    reason: Reason | None = None


def region(cka: Iterable[float], lrds: Iterable[float], alpha: float, rule: RegionRule = "literal") -> Region:
    """The blocks whose states agree across languages and are least language-specific, at tolerance `alpha` >= 1.

    "literal" is Λ = {l : CKA_l >= mean CKA and LRDS_l <= α·min LRDS}; "hull" is every block from the first to the last
    of these, so it may hold blocks that pass neither test. Check `reason` of the result: no region is no error.

    Raises ValueError for curves that are empty, of unequal length or not finite, alpha < 1 and an unknown rule.
    """
    cka, lrds = _curve(cka, "CKA"), _curve(lrds, "LRDS")
    if len(cka) != len(lrds):
        raise ValueError(f"CKA has {len(cka)} blocks but LRDS has {len(lrds)}")
    if not (math.isfinite(alpha) and alpha >= 1):
        raise ValueError(f"alpha must be at least 1, not {alpha}: below 1 not even the block of least LRDS qualifies")
    if rule not in REGION_RULES:
        raise ValueError(unknown_name("region rule", rule, REGION_RULES))
    # statistics.mean is exact before its one rounding: a flat curve is never below its own mean.
    floor, ceiling = statistics.mean(cka), alpha * min(lrds)
    blocks: tuple[int, ...] = ()
    reason: Reason | None = None
    if min(lrds) <= 0:
        reason = "lrds_not_positive"
    else:
        blocks = tuple(i for i, (c, s) in enumerate(zip(cka, lrds)) if c >= floor and s <= ceiling)
        if not blocks:
            reason = "empty"
        elif rule == "hull":
            blocks = tuple(range(blocks[0], blocks[-1] + 1))
    return Region(blocks, rule, alpha, floor, ceiling, reason)


@dataclass(frozen=True)
class Gap:
    """How far LRDS of one block lies below that of another: the estimate and its 95 % interval over items."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether it lies below by more than its interval; without an end (NaN) nobody knows, and it does not."""
        return self.low > 0


@dataclass(frozen=True)
class Dip:
    """Whether LRDS has a band to speak of: an interior minimum below both ends of the curve.

    block: the interior block of least LRDS, the first of equals; None in a model of fewer than three blocks.
    """

    block: int | None
    below_first: Gap
    below_last: Gap

    @property
    def exists(self) -> bool:
        """Whether it lies below the first and the last block, each by more than the interval of the difference."""
        return self.block is not None and self.below_first.sure and self.below_last.sure


Ends = tuple[Iterable[float], Iterable[float]]


def dip(lrds: Iterable[float], below_first: Ends | None = None, below_last: Ends | None = None) -> Dip:
    """The interior minimum of a curve of LRDS, held against its first and its last block.

    below_first, below_last: by block, low and high end of the interval of how far its LRDS lies below that of the first
    or last; without them (of a published curve, say) an interval is the point itself. The minimum is chosen on the
    curve, once, and not anew in every resample.

    Raises ValueError for a curve that is empty or not finite, and ends that are not one for each block.
    """
    curve = _curve(lrds, "LRDS")
    if len(curve) < 3:
        nothing = Gap(math.nan, math.nan, math.nan)
        return Dip(None, nothing, nothing)
    block = min(range(1, len(curve) - 1), key=curve.__getitem__)

    def gap(end: float, ends: Ends | None) -> Gap:
        value = end - curve[block]
        if ends is None:
            return Gap(value, value, value)
        low, high = map(list, ends)
        if not len(low) == len(high) == len(curve):
            raise ValueError(f"{len(curve)} blocks, but intervals of {len(low)} and {len(high)}")
        return Gap(value, float(low[block]), float(high[block]))

    return Dip(block, gap(curve[0], below_first), gap(curve[-1], below_last))


def choose_alpha(
    cka: Iterable[float],
    lrds: Iterable[float],
    rule: RegionRule = "literal",
    share: float = 0.25,
    grid: Sequence[float] = ALPHA_GRID,
) -> Region:
    """The region at the smallest alpha of `grid` whose region holds at least `share` (0 to 1] of all blocks.

    It reads the curves only, so alpha is fixed before any unlearning. If no alpha will do, the result is an empty
    region at the largest alpha with reason "share_not_reached", or "lrds_not_positive" where alpha cannot matter.

    Raises ValueError like `region`, for an empty grid, and for a share outside (0, 1].
    """
    cka, lrds = _curve(cka, "CKA"), _curve(lrds, "LRDS")
    if not grid:
        raise ValueError("the grid of alpha is empty")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share}")
    candidates = [region(cka, lrds, alpha, rule) for alpha in sorted(grid)]
    for candidate in candidates:
        if len(candidate.blocks) / len(cka) >= share:
            return candidate
    last = candidates[-1]
    reason = last.reason if last.reason == "lrds_not_positive" else "share_not_reached"
    return Region((), rule, last.alpha, last.cka_floor, last.lrds_ceiling, reason)


def local_peaks(cka: Iterable[float]) -> tuple[int, ...]:
    """The local maxima of a curve: higher than the block before and than what follows, sorted.

    A plateau counts once, at its first block, if the curve rises to it and falls after it. Beyond either end of the
    curve counts as lower.
    """
    values = _curve(cka, "CKA")
    peaks = []
    for block, value in enumerate(values):
        after = next((v for v in values[block + 1 :] if v != value), -math.inf)
        if (block == 0 or values[block - 1] < value) and after < value:
            peaks.append(block)
    return tuple(peaks)


def choose_layer(
    cka: Iterable[float], region: Region | Iterable[int], rule: LayerRule, stated: int | None = None
) -> int:
    """The block to edit, by one of four rules.

    - "first_local_peak": the earliest of `local_peaks` that lies in the region. Peaks are those of the whole curve:
      neighbours outside the region count, so an edge of the region is a peak only if the curve turns there. Where the
      region holds no peak, this is "argmax".
    - "argmax": the block of largest CKA in the region, the earliest of equals.
    - "deepest": the last block of the region.
    - "stated": the block number `stated`, as the config gives it; the region is not consulted.

    Raises ValueError for an unknown rule, an empty region (naming its reason) or one outside the curve, and a `stated`
    that is missing, outside the curve, or given with another rule.
    """
    values = _curve(cka, "CKA")
    if rule not in LAYER_RULES:
        raise ValueError(unknown_name("layer rule", rule, LAYER_RULES))
    if (rule == "stated") != (stated is not None):
        raise ValueError(f"rule {rule!r} with stated={stated}: give a stated block with rule 'stated', and only there")
    if stated is not None:
        _check_block(stated, len(values))
        return stated
    blocks = sorted(region.blocks if isinstance(region, Region) else region)
    if not blocks:
        reason = region.reason if isinstance(region, Region) else "empty"
        raise ValueError(f"no block to choose by rule {rule!r}: the region is empty (reason: {reason})")
    for block in blocks:
        _check_block(block, len(values))
    if rule == "deepest":
        return blocks[-1]
    peaks = [block for block in local_peaks(values) if block in blocks]
    if rule == "first_local_peak" and peaks:
        return peaks[0]
    return max(blocks, key=lambda block: values[block])


def map_position(block: int, depth_from: int, depth_to: int) -> int:
    """The block at the same relative depth in a model of `depth_to` blocks: round(l/(L-1)·(L'-1)), halves upwards.

    Raises ValueError for depth_from < 2, depth_to < 1 and a block outside 0 to depth_from - 1.
    """
    if depth_from < 2 or depth_to < 1:
        raise ValueError(f"cannot map a position from {depth_from} to {depth_to} blocks: need at least 2 and 1")
    _check_block(block, depth_from)
    # In whole numbers, so that a tie is a tie: floats would send some halves up and others down.
    last = depth_from - 1
    return (2 * block * (depth_to - 1) + last) // (2 * last)


def _curve(values: Iterable[float], name: str) -> list[float]:
    """The curve as plain floats, or a ValueError if it is empty or not finite."""
    curve = [float(value) for value in values]
    if not curve:
        raise ValueError(f"{name} has no blocks")
    bad = [block for block, value in enumerate(curve) if not math.isfinite(value)]
    if bad:
        raise ValueError(f"{name} is not finite at block {', '.join(map(str, bad))}")
    return curve


def _check_block(block: int, depth: int) -> None:
    if not 0 <= block < depth:
        raise ValueError(f"block {block} is outside 0 to {depth - 1}")
