"""CKA, LRDS and SADS against double loops over the definitions, their invariances and their limits."""

import math
from itertools import combinations, permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mute.analyses.similarity import (
    cka_matrix,
    cka_null,
    lrds,
    lrds_matrix,
    lrds_resampled,
    mean_cka,
    offsets,
    retrieval,
    sads,
)


def gaussian(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def hsic_0(k: list[list[float]], m: list[list[float]]) -> float:
    """tr(K H M H) by its expansion, element by element."""
    n = len(k)
    rows_k, rows_m = [sum(row) / n for row in k], [sum(row) / n for row in m]
    all_k, all_m = sum(rows_k) / n, sum(rows_m) / n
    return sum(
        (k[i][j] - rows_k[i] - rows_k[j] + all_k) * (m[i][j] - rows_m[i] - rows_m[j] + all_m)
        for i in range(n)
        for j in range(n)
    )


def hsic_1(k: list[list[float]], m: list[list[float]]) -> float:
    """HSIC_1 (Song et al. 2012) as a U-statistic: means over distinct indices of K_ij M_ij, K_ij M_qr and K_ij M_iq."""
    n = len(k)
    pairs = sum(k[i][j] * m[i][j] for i, j in permutations(range(n), 2))
    quads = sum(k[i][j] * m[q][r] for i, j, q, r in permutations(range(n), 4))
    triples = sum(k[i][j] * m[i][q] for i, j, q in permutations(range(n), 3))
    return pairs / math.perm(n, 2) + quads / math.perm(n, 4) - 2 * triples / math.perm(n, 3)


def cka(x: torch.Tensor, y: torch.Tensor, unbiased: bool = False) -> float:
    """Of two languages; columns of zeros are no part of any product."""
    width = max(x.shape[1], y.shape[1])
    both = [torch.nn.functional.pad(states, (0, width - states.shape[1])) for states in (x, y)]
    return float(cka_matrix(torch.stack(both), unbiased)[0, 1])


def brute_cka(x: torch.Tensor, y: torch.Tensor, unbiased: bool) -> float:
    gram_x = [[sum(a * b for a, b in zip(u, v)) for v in x.tolist()] for u in x.tolist()]
    gram_y = [[sum(a * b for a, b in zip(u, v)) for v in y.tolist()] for u in y.tolist()]
    hsic = hsic_1 if unbiased else hsic_0
    return hsic(gram_x, gram_y) / math.sqrt(hsic(gram_x, gram_x) * hsic(gram_y, gram_y))


def brute_cosines(states: torch.Tensor, remove_mean: bool) -> tuple[float, float, float]:
    """Mean cosine of (same language, different meaning), (different, different), (different language, same meaning)."""
    if remove_mean:
        states = states - states.reshape(-1, states.shape[-1]).mean(0)
    rows = states.tolist()
    found: dict[tuple[bool, bool], list[float]] = {}
    cells = [(a, i) for a in range(len(rows)) for i in range(len(rows[0]))]
    for (a, i), (b, j) in combinations(cells, 2):
        u, v = rows[a][i], rows[b][j]
        dot = sum(p * q for p, q in zip(u, v))
        found.setdefault((a == b, i == j), []).append(dot / (math.hypot(*u) * math.hypot(*v)))
    mean = {key: sum(values) / len(values) for key, values in found.items()}
    return mean[True, False], mean[False, False], mean[False, True]


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize(("n", "d"), [(7, 3), (5, 9), (4, 4)])
def test_cka_equals_double_loop(n, d, unbiased):
    x, y = gaussian(n, d, seed=1) + 3.0, gaussian(n, d + 1, seed=2) - 1.0
    assert cka(x, y, unbiased) == pytest.approx(brute_cka(x, y, unbiased), abs=1e-10)


@pytest.mark.parametrize("unbiased", [False, True])
def test_cka_equals_cross_covariance_form_and_mean_over_pairs(unbiased):
    states = gaussian(4, 12, 5, seed=3)
    matrix = cka_matrix(states, unbiased)
    pairs = [cka(states[a], states[b], unbiased) for a, b in combinations(range(4), 2)]
    assert mean_cka(states, unbiased) == pytest.approx(sum(pairs) / 6, abs=1e-12)
    torch.testing.assert_close(matrix, matrix.T)
    torch.testing.assert_close(matrix.diagonal(), torch.ones(4, dtype=torch.float64))
    if not unbiased:
        x, y = (s - s.mean(0) for s in states[:2])
        closed = (x.T @ y).norm() ** 2 / ((x.T @ x).norm() * (y.T @ y).norm())
        assert cka(states[0], states[1]) == pytest.approx(float(closed), abs=1e-12)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(4, 12),
    d=st.integers(2, 8),
    scale=st.floats(1e-4, 1e4),
    shift=st.floats(-10, 10),
    unbiased=st.booleans(),
)
def test_cka_of_identical_is_one_and_ignores_rotation_scale_and_shift(seed, n, d, scale, shift, unbiased):
    x, y = gaussian(n, d, seed=seed), gaussian(n, d, seed=seed + 1)
    rotation, _ = torch.linalg.qr(gaussian(d, d, seed=seed + 2))
    assert cka(x, x, unbiased) == pytest.approx(1, abs=1e-12)
    assert cka(x, scale * x @ rotation + shift, unbiased) == pytest.approx(1, abs=1e-6)
    assert cka(x, scale * y @ rotation + shift, unbiased) == pytest.approx(cka(x, y, unbiased), abs=1e-6)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-4, 1e4), remove_mean=st.booleans())
def test_lrds_and_sads_ignore_rotation_and_scale(seed, scale, remove_mean):
    states = gaussian(3, 6, 4, seed=seed)
    rotation, _ = torch.linalg.qr(gaussian(4, 4, seed=seed + 1))
    for score in (lrds, sads):
        assert score(scale * states @ rotation, remove_mean) == pytest.approx(score(states, remove_mean), abs=1e-9)
        assert -2 <= score(states, remove_mean) <= 2


def test_cka_of_unrelated_data():
    n, rank = 80, 20
    states = gaussian(8, n, rank, seed=5)
    assert mean_cka(states) == pytest.approx(rank / (rank + n), abs=0.01)
    assert mean_cka(states, unbiased=True) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("unbiased", [False, True])
def test_null_is_what_unaligned_rows_give(unbiased):
    n, rank = 60, 15
    shared = gaussian(n, rank, seed=6)
    states = shared + 0.3 * gaussian(5, n, rank, seed=7)
    null = cka_null(states, seed=0, unbiased=unbiased)
    assert mean_cka(states, unbiased) > 0.7 > null.q95 >= null.mean
    assert null.mean == pytest.approx(0 if unbiased else rank / (rank + n), abs=0.03)
    assert len(null.draws) == 20
    assert null == cka_null(states, seed=0, unbiased=unbiased)
    assert null != cka_null(states, seed=1, unbiased=unbiased)
    assert null.draws[:3] == cka_null(states, seed=0, draws=3, unbiased=unbiased).draws


@pytest.mark.parametrize("unbiased", [False, True])
def test_null_shuffles_rows_not_gram_entries(unbiased):
    """With two languages a draw is the CKA of x and row-shuffled y, for the permutation that the seed gives."""
    states = gaussian(2, 9, 4, seed=8)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(3))
    expected = cka(states[0], states[1][order], unbiased)
    assert cka_null(states, seed=3, draws=1, unbiased=unbiased).mean == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("remove_mean", [False, True])
@pytest.mark.parametrize(("k", "n", "d"), [(2, 2, 3), (3, 6, 4), (4, 5, 1)])
def test_lrds_and_sads_equal_double_loop(k, n, d, remove_mean):
    states = gaussian(k, n, d, seed=9) * torch.arange(1, n + 1)[:, None] + gaussian(k, 1, d, seed=10) + 2.0
    same_language, neither, same_meaning = brute_cosines(states, remove_mean)
    assert lrds(states, remove_mean) == pytest.approx(same_language - neither, abs=1e-12)
    assert sads(states, remove_mean) == pytest.approx(same_meaning - neither, abs=1e-12)


def test_lrds_and_sads_of_extreme_geometries():
    n, k = 6, 3
    by_meaning = torch.eye(n).expand(k, n, n)  # one direction for each item, whatever the language
    by_language = torch.eye(k)[:, None, :].expand(k, n, k)  # one direction for each language, whatever the item
    assert (lrds(by_meaning), sads(by_meaning)) == pytest.approx((0, 1))
    assert (lrds(by_language), sads(by_language)) == pytest.approx((1, 0))


def test_shared_direction_hides_language_regions_until_the_mean_is_removed():
    states = torch.eye(3)[:, None, :] + 0.3 * gaussian(3, 20, 3, seed=11) + 100.0
    assert lrds(states) < 0.001
    assert lrds(states, remove_mean=True) > 0.5


def test_low_precision_input_is_computed_in_float64():
    states = (gaussian(3, 30, 8, seed=12) + 50.0).to(torch.bfloat16)
    for score in (mean_cka, lrds, sads):
        assert score(states) == score(states.double())


STATES = gaussian(3, 6, 4, seed=13)
NOT_FINITE, ZERO, CONSTANT = STATES.clone(), STATES.clone(), STATES.clone()
NOT_FINITE[1, 2, 3] = float("nan")
ZERO[1, 2] = 0
CONSTANT[1] = 0.1
AT_MEAN = STATES.clone()
AT_MEAN[1, 2] = (STATES.sum((0, 1)) - STATES[1, 2]) / 17


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: cka(STATES[0, :1], STATES[1, :1]), "at least 2 items"),
        (lambda: cka(STATES[0, :3], STATES[1, :3], unbiased=True), "at least 4 items"),
        (lambda: cka(STATES[0], NOT_FINITE[1]), "not finite"),
        (lambda: cka(STATES[0], CONSTANT[1]), "same state"),
        (lambda: cka(torch.eye(6), STATES[0], unbiased=True), "equally far apart"),
        (lambda: mean_cka(STATES[0]), r"\[K, N, D\]"),
        (lambda: mean_cka(STATES[:1]), "at least 2 of them"),
        (lambda: mean_cka(STATES[:, :1]), "at least 2 items"),
        (lambda: mean_cka(STATES[:, :3], unbiased=True), "at least 4 items"),
        (lambda: mean_cka(NOT_FINITE), "not finite"),
        (lambda: mean_cka(CONSTANT), "same state"),
        (lambda: cka_null(STATES, seed=0, draws=0), "draws"),
        (lambda: cka_null(STATES[:1], seed=0), "at least 2 of them"),
    ],
)
def test_cka_errors(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("score", [lrds, sads])
@pytest.mark.parametrize("remove_mean", [False, True])
@pytest.mark.parametrize(
    ("states", "message"),
    [
        (STATES[0], r"\[K, N, D\]"),
        (STATES[:1], "at least 2 of them"),
        (STATES[:, :1], "at least 2 items"),
        (NOT_FINITE, "not finite"),
    ],
)
def test_score_errors(score, remove_mean, states, message):
    with pytest.raises(ValueError, match=message):
        score(states, remove_mean)


@pytest.mark.parametrize("score", [lrds, sads])
def test_zero_vectors_have_no_direction(score):
    with pytest.raises(ValueError, match="language 1, item 2 is a zero vector: "):
        score(ZERO)
    assert math.isfinite(score(ZERO, remove_mean=True))
    with pytest.raises(ValueError, match="language 1, item 2 is a zero vector once the mean is removed"):
        score(AT_MEAN, remove_mean=True)
    assert math.isfinite(score(AT_MEAN))


def test_roc_area_is_the_share_of_pairs_in_order():
    from mute.analyses.capture import roc_area

    assert roc_area(torch.tensor([2.0, 3.0]), torch.tensor([0.0, 1.0])) == 1
    assert roc_area(torch.tensor([0.0]), torch.tensor([1.0, 2.0])) == 0
    assert roc_area(torch.tensor([1.0, 1.0]), torch.tensor([1.0])) == 0.5
    assert roc_area(torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])) == 0.75


@pytest.mark.parametrize("forget_set", ["domain", "conjunctive"])
def test_words_give_a_domain_away(corpus, encoder, random_model, forget_set):
    """A whole domain has words of its own, which even a random model's embeddings show; a conjunctive set has none."""
    from mute.analyses.capture import separability

    model = random_model("llama")
    apart = separability(model, encoder, corpus, ["en", "es"], forget_set, seed=0)
    assert len(apart) == model.config.num_hidden_layers
    assert all(0 <= area <= 1 for area in apart)
    if forget_set == "domain":
        assert apart[0] > 0.95


# Pairs of languages


def test_lrds_of_a_pair_is_that_of_its_two_languages_and_all_of_them_average_to_the_whole():
    states = gaussian(4, 6, 5, seed=20) + 0.7 * gaussian(4, 1, 5, seed=21)
    matrix = lrds_matrix(states)
    assert torch.equal(matrix, matrix.T)
    assert matrix.diagonal().eq(0).all()
    pairs = list(combinations(range(4), 2))
    for a, b in pairs:
        assert float(matrix[a, b]) == pytest.approx(lrds(states[[a, b]]), abs=1e-12)
    assert sum(float(matrix[pair]) for pair in pairs) / len(pairs) == pytest.approx(lrds(states), abs=1e-12)


def test_a_resample_of_lrds_is_a_mean_over_pairs_of_different_items_each_as_often_as_it_was_drawn():
    states = gaussian(3, 5, 4, seed=22) + 0.5 * gaussian(3, 1, 4, seed=23)
    counts = torch.tensor([[1, 1, 1, 1, 1], [2, 0, 1, 0, 2], [0, 3, 1, 1, 0], [5, 0, 0, 0, 0]])
    unit = states / states.norm(dim=-1, keepdim=True)
    expected = []
    for row in counts.tolist():
        drawn = [item for item, times in enumerate(row) for _ in range(times)]
        same, other = [], []
        for i, j in permutations(range(len(drawn)), 2):
            if drawn[i] != drawn[j]:
                for a in range(3):
                    for b in range(3):
                        (same if a == b else other).append(float(unit[a, drawn[i]] @ unit[b, drawn[j]]))
        expected.append(sum(same) / len(same) - sum(other) / len(other) if same else math.nan)
    found = lrds_resampled(states, counts)
    assert found.tolist() == pytest.approx(expected, abs=1e-12, nan_ok=True)
    assert float(found[0]) == pytest.approx(lrds(states), abs=1e-12)


@pytest.mark.parametrize("remove_mean", [False, True])
def test_retrieval_equals_a_loop_over_nearest_neighbours(remove_mean):
    shared = gaussian(7, 6, seed=24)
    states = shared + 0.8 * gaussian(3, 7, 6, seed=25) + 2 * gaussian(3, 1, 6, seed=26)
    found = retrieval(states, remove_mean)
    moved = states - states.mean(1, keepdim=True) if remove_mean else states
    unit = moved / moved.norm(dim=-1, keepdim=True)
    for a, b in permutations(range(3), 2):
        hits = sum(
            max(range(7), key=lambda j, i=i, x=x, y=y: float(unit[x, i] @ unit[y, j])) == i
            for x, y in ((a, b), (b, a))
            for i in range(7)
        )
        assert float(found[a, b]) == pytest.approx(hits / 14, abs=1e-12)
    assert found.diagonal().eq(1).all()


def test_retrieval_finds_translations_behind_an_offset_and_none_where_rows_are_shuffled():
    n, d = 200, 30
    meaning = gaussian(n, d, seed=27)
    offset = 40 * torch.nn.functional.normalize(gaussian(2, 1, d, seed=28), dim=-1)
    states = meaning + 0.3 * gaussian(2, n, d, seed=29) + offset
    assert float(retrieval(states, remove_mean=True)[0, 1]) > 0.95
    assert float(retrieval(states)[0, 1]) < float(retrieval(states, remove_mean=True)[0, 1])
    order = torch.randperm(n, generator=torch.Generator().manual_seed(3))
    shuffled = torch.stack([states[0], states[1][order]])
    # A share of 400 trials at 1/200 each: above 0.03 once in ten thousand times.
    assert float(retrieval(shuffled, remove_mean=True)[0, 1]) < 0.03


def test_items_that_are_equally_near_have_not_found_their_own():
    states = torch.ones(2, 5, 3)
    assert float(retrieval(states)[0, 1]) == 0
    with pytest.raises(ValueError, match="language 0, item 0 is the mean of its language"):
        retrieval(states, remove_mean=True)


def test_offsets_are_distances_of_means_over_norms_and_spreads():
    states = gaussian(3, 8, 4, seed=30) + 3 * gaussian(3, 1, 4, seed=31)
    by_norm, by_spread = offsets(states)
    for a, b in permutations(range(3), 2):
        both = [states[a], states[b]]
        apart = math.dist(*(own.mean(0).tolist() for own in both))
        norm = sum(float(own.norm(dim=1).mean()) for own in both) / 2
        squared = sum(math.dist(row.tolist(), own.mean(0).tolist()) ** 2 for own in both for row in own)
        assert float(by_norm[a, b]) == pytest.approx(apart / norm, rel=1e-12)
        assert float(by_spread[a, b]) == pytest.approx(apart / math.sqrt(squared / 16), rel=1e-12)
    assert by_norm.diagonal().eq(0).all()
    rotation, _ = torch.linalg.qr(gaussian(4, 4, seed=32))
    for mine, turned in zip(offsets(states), offsets(5 * states @ rotation)):
        assert torch.allclose(mine, turned, atol=1e-12)


def test_offsets_of_one_cloud_cut_into_languages_at_random_are_near_nothing():
    """The null of permuted languages: which language a row is said to be in is drawn by lot."""
    states = gaussian(2, 400, 10, seed=33) + torch.tensor([[[4.0]], [[-4.0]]])
    far = float(offsets(states)[1][0, 1])
    order = torch.randperm(800, generator=torch.Generator().manual_seed(1))
    mixed = states.flatten(0, 1)[order].view(2, 400, 10)
    assert far > 5
    # Each mean of 400 of spread s errs by s / 20: two of them by √2 / 20, in units of the spread.
    assert float(offsets(mixed)[1][0, 1]) < 3 * math.sqrt(2) / 20
    assert float(lrds_matrix(mixed)[0, 1]) == pytest.approx(0, abs=0.02)


@pytest.mark.parametrize("score", [lrds_matrix, retrieval, offsets])
def test_what_compares_pairs_refuses_what_is_no_pair_of_numbers(score):
    with pytest.raises(ValueError, match="comparing languages needs at least 2"):
        score(torch.ones(1, 5, 3))
    with pytest.raises(ValueError, match="not finite"):
        score(torch.full((2, 5, 3), math.nan))
