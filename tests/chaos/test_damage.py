"""A flipped bit and a missing end, in every kind of artifact: found, told, made again, and nothing else with it."""

import random
import shutil
from concurrent.futures import ThreadPoolExecutor

import pytest
from harness import SEED, WHOLE, chosen, flip, row, truncate

# Kind: where its files are.
KINDS = {
    "facts of the corpus": "corpus/facts.csv",
    "texts of the corpus": "corpus/texts.parquet",
    "settings of the corpus": "corpus/about.json",
    "tokenizer": "tokenizers/*/tokenizer.json",
    "weights of a model": "models/*/model.safetensors",
    "configuration of a model": "models/*/config.json",
    "undeclared file of a model": "models/*/generation_config.json",
    "record of a model": "models/*/record.json",
    "tokens of a model": "evaluations/llama-s0/tokens.parquet",
    "answers of a model": "evaluations/llama-s0/answers.parquet",
    "gates": "gates/*.csv",
    "layer scores": "layers/*.csv",
    "patch of a cell": "cells/*/patch.safetensors",
    "fitted tensors of a guard": "cells/*/fitted.safetensors",
    "record of a cell": "cells/*/record.json",
    "tokens of a cell": "evaluations/cells/*/tokens.parquet",
    "attack on a cell": "attacks/*/tokens.parquet",
    "profile of a cell": "analyses/*/profile.parquet",
    "cells of a shard": "shards/*/cells.csv",
    "scores of a shard": "shards/*/scores.parquet",
    "export": "exports/*/model.safetensors",
    "table": "tables/scores.csv",
    "origin of the tables": "tables/study.*.csv",
    "figure": "figures/depth.svg",
    "figure of a notebook": "figures/trade_off.svg",
    "plot of DVC": "plots/*.csv",
    "metrics": "metrics.json",
    "first page of the report": "summary.rst",
    "page": "index.html",
    "seal": "records/layers/*.json",
}


@pytest.fixture(scope="module")
def pair(finished, tmp_path_factory):
    """Two copies for all tests of this module, which work in them side by side and leave them whole."""
    return [finished.copy(tmp_path_factory.mktemp("damage") / "mute") for _ in range(2)]


@pytest.fixture(scope="module")
def disturbed(pair):
    return pair[0]


def side_by_side(work, pair, kinds):
    """`work` on every kind, in two projects at once; raises what one of them raises."""
    with ThreadPoolExecutor(len(pair)) as pool:
        halves = [
            pool.submit(lambda project, own: [work(project, kind) for kind in own], project, kinds[i :: len(pair)])
            for i, project in enumerate(pair)
        ]
        for half in halves:
            half.result()


def file_of(project, pattern, rng):
    return rng.choice(sorted(project.results.glob(pattern)))


def damaged(project, kinds, damage, fault, expected):
    """Damage a file of each kind, run the study, and see what it says and makes of it."""
    found = {}
    for kind in kinds:
        rng = random.Random(f"{SEED} {fault} {kind}")
        path = found[kind] = file_of(project, KINDS[kind], rng)
        before = path.read_bytes()
        damage(path, rng)
        assert path.read_bytes() != before
    status, said = project.run(), project.said
    whole = status == 0 and project.check() == 0 and all(path.is_file() for path in found.values())
    equal = project.published() == expected
    for kind, path in found.items():
        # Without its record nothing in a folder counts.
        names = (path, path.parent, path.with_name("record.json"))
        told = any(f"damaged: {each.relative_to(project.folder)} " in said for each in names)
        if kind == "seal":
            told = "has no seal that can be read" in said
        row(f"{fault}: {kind}").add(detected=told, recovered=whole, equal=equal)
        assert told, (kind, said)
    assert whole, (kinds, said)
    assert equal, kinds


def test_a_flipped_bit_in_every_kind_of_artifact(pair, expected):
    """One at a time."""
    fault = "a flipped bit"
    kinds = list(chosen(list(KINDS), random.Random(f"{SEED} {fault}"), 2))
    side_by_side(lambda project, kind: damaged(project, [kind], flip, fault, expected), pair, kinds)


def test_a_missing_end_of_every_kind_of_artifact(pair, expected):
    """Several at a time, as a power cut leaves them."""
    fault, rng = "a missing end", random.Random(f"{SEED} end")
    kinds = list(chosen(list(KINDS), rng, 4))
    rng.shuffle(kinds)
    groups = [kinds[::2], kinds[1::2]] if WHOLE else [kinds]
    side_by_side(lambda project, group: damaged(project, group, truncate, fault, expected), pair, groups)


# What a job reads, and a file whose loss makes that job run.
READ = {
    "weights of a model": ("models/*/model.safetensors", "layers/*.csv"),
    "record of a model": ("models/*/record.json", "layers/*.csv"),
    "texts of the corpus": ("corpus/texts.parquet", "layers/*.csv"),
    "tokens of a model": ("evaluations/llama-s0/tokens.parquet", "gates/*.csv"),
    "cells of a shard": ("shards/*/cells.csv", "shards/*/evaluations.csv"),
    "patch of a cell": ("cells/*/patch.safetensors", "shards/*/evaluations.csv"),
    "fitted tensors of a guard": ("cells/*/fitted.safetensors", "shards/*/evaluations.csv"),
    "tokens of a cell": ("evaluations/cells/*/tokens.parquet", "shards/*/scores.parquet"),
    "table": ("tables/scores.csv", "metrics.json"),
}


def test_damage_that_a_job_meets(pair, expected):
    """While a run is under way nobody sweeps: the job that reads it stops, and the same command goes on."""

    def work(project, kind):
        rng = random.Random(f"{SEED} met {kind}")
        damaged, lost = (file_of(project, pattern, rng) for pattern in READ[kind])
        lost.unlink()
        flip(damaged, rng)
        target, folder = (str(path.relative_to(project.folder)) for path in (lost, damaged.parent))
        # By its name: nobody waits for an intermediate file.
        first, said = project.snakemake(target), project.said
        told = "damaged files were put aside" in said and folder in said
        whole = project.snakemake(target) == 0 and project.run() == 0 and project.check() == 0
        equal = project.published() == expected
        met = row("a flipped bit met by a job, plain Snakemake")
        met.add(detected=first != 0 and told, recovered=whole, equal=equal)
        assert first != 0, (kind, said)
        assert told, (kind, said)
        assert whole, (kind, project.said)
        assert equal, kind

    side_by_side(work, pair, list(chosen(list(READ), random.Random(f"{SEED} met"), 1)))


def test_cached_prefixes(disturbed, expected):
    rng = random.Random(f"{SEED} cache")
    entries = sorted((disturbed.results / "cache/prefixes").glob("*.safetensors"))
    assert entries
    for number, entry in enumerate(entries):
        (flip, truncate)[number % 2](entry, rng)
    lost = [*disturbed.results.glob("layers/*.csv"), *disturbed.results.glob("shards/*/cells.csv")]
    for path in lost:
        path.unlink()
    status = disturbed.snakemake(*(str(path.relative_to(disturbed.folder)) for path in lost))
    told = disturbed.said.count("a cached prefix is damaged")
    equal = disturbed.published() == expected
    whole = status == 0 and disturbed.run() == 0 and disturbed.check() == 0
    row("damaged entries of the prefix cache").add(detected=told > 0, recovered=whole, equal=equal)
    assert told, disturbed.said
    assert whole
    assert equal


def test_records_of_snakemake(disturbed, expected):
    """Its metadata and its incomplete marks: a crash of the machine leaves them empty."""
    rng = random.Random(f"{SEED} metadata")
    found = sorted(path for path in (disturbed.folder / ".snakemake/metadata").rglob("*") if path.is_file())
    assert found
    emptied = rng.sample(found, max(3, len(found) // 4))
    for path in emptied:
        path.write_bytes(b"")
    status = disturbed.run()
    told = "Snakemake's record of it was cut off" in disturbed.said
    whole = status == 0 and disturbed.check() == 0 and all(path.stat().st_size for path in emptied)
    equal = disturbed.published() == expected
    row("emptied metadata of Snakemake").add(detected=told, recovered=whole, equal=equal)
    assert told, disturbed.said
    assert whole, disturbed.said
    assert equal


def test_a_results_folder_without_seals(disturbed, expected):
    """Copied without its records, no file counts as a result that a job would read."""
    shutil.rmtree(disturbed.results / "records")
    lost = next(disturbed.results.glob("layers/*.csv"))
    lost.unlink()
    first = disturbed.snakemake(str(lost.relative_to(disturbed.folder)))
    told = "has no seal" in disturbed.said
    status = disturbed.run()
    equal = disturbed.published() == expected
    row("seals deleted").add(detected=first != 0 and told, recovered=status == 0, equal=equal)
    assert told, disturbed.said
    assert status == 0, disturbed.said
    assert equal
