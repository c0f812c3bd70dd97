"""Hostile configurations."""

import os

from cases import BASE, Place, mute, python, refused, taken

from mute.config.sections import read_files
from mute.study.cells import Study
from mute.study.checks import checked_study, read_study


def study(place: Place, content: str | bytes) -> Study:
    """The default study under a file with this content."""
    return read_study(BASE, place.write("my.yaml", content))


# What is given, the file, and the words that its one line must hold.
WRONG: dict[str, tuple[str | bytes, ...]] = {
    "a misspelt section": ("gaets: {recall: 1}", "gaets: unknown key 'gaets'", "Did you mean 'gates'?"),
    "a misspelt key": ("models: {llama: {stpes: 3}}", "models.llama.stpes", "blocks, family", "mean 'steps'?"),
    "a misspelt setting of an algorithm": ("algorithms: {rmu: {stepz: 3}}", "algorithms.rmu.stepz", "mean 'steps'?"),
    "a misspelt setting of a guard": (
        "algorithms: {ksd: {detectr: probe}}",
        "algorithms.ksd.detectr",
        "mean 'detector'?",
    ),
    "a guard's share of false alarms above one": (
        "algorithms: {ksd: {false_alarms: 2}}",
        "algorithms.ksd.false_alarms: must be below 1.0, not 2",
    ),
    "an unknown attack": (
        "study: {grids: [g]}\ngrids: {g: {algorithms: [rmu], bands: [0], attacks: [quantise]}}",
        "grids.g.attacks[0]: unknown attack 'quantise'",
        "Did you mean 'quantize'?",
    ),
    "a misspelt setting of an attack": (
        "attacks: {four: {method: quantize, bit: 4}}",
        "attacks.four.bit: unknown key 'bit'; allowed: bits,",
        "mean 'bits'?",
    ),
    "an unknown form of an attack": (
        "attacks: {put: {method: rwku, form: prefix}}",
        "attacks.put.form: unknown value 'prefix'",
        "Did you mean 'prefix_injection'?",
    ),
    "an unknown analysis": (
        "study: {analyses: [lense]}",
        "study.analyses[0]: unknown analysis 'lense'",
        "mean 'lens'?",
    ),
    "an algorithm of an analysis that nobody has": (
        "study: {analyses: [lens]}\nanalyses: {lens: {algorithms: [rmv]}}",
        "analyses.lens.algorithms[0]: unknown algorithm 'rmv'",
        "Did you mean 'rmu'?",
    ),
    "a misspelt `method`": (
        "algorithms: {mine: {metod: rmu}}",
        "algorithms.mine.method: unknown method 'mine'",
        "not 'metod'",
    ),
    "a misspelt setting of a source": (
        "corpora: {world: {settings: {probe_line: 9}}}",
        "corpora.world.settings.probe_line",
        "Did you mean 'probe_lines'?",
    ),
    "`no` as a language, which YAML reads as false": (
        "models: {llama: {languages: [en, es, pt, no]}}",
        "models.llama.languages[3]: must be text, not False",
        "quote it, as in 'no'",
    ),
    "`no` as the name of a grid": ("grids: {no: {}}", "grids", "must be text, not False", "quote it, as in 'no'"),
    "a number as the name of a model": ("models: {1.5: {}}", "models: a name must be text, not 1.5", "as in '1.5'"),
    "`yes` as a number": ("study: {seed: yes}", "study.seed: must be a number, not True"),
    "text as a number": ("models: {llama: {blocks: eight}}", "models.llama.blocks", "a whole number, not 'eight'"),
    "a digit of another script as a number": ("study: {seed: '٣'}", "study.seed", "a whole number, not '٣'"),
    "a negative number": ("study: {seed: -1}", "study.seed: must be at least 0, not -1"),
    "zero steps": ("algorithms: {rmu: {steps: 0}}", "algorithms.rmu.steps: must be at least 1, not 0"),
    "an infinite learning rate": (
        "algorithms: {rmu: {learning_rate: .inf}}",
        "algorithms.rmu.learning_rate: must be finite, not inf",
    ),
    "not-a-number as a gate": ("gates: {recall: .nan}", "gates.recall", "not nan"),
    "a number that no machine counts to": (
        "models: {llama: {steps: 100000000000000000000}}",
        "models.llama.steps: must be at most 1e+15, not 100000000000000000000",
    ),
    "a number of 5,000 digits": (b"study: {seed: " + b"9" * 5000 + b"}", "my.yaml, line 1", "'99999", "is no int"),
    "a hidden size that no machine holds": (
        "models: {llama: {hidden: 1000000000}}",
        "models.llama.hidden: must be at most 65536, not 1000000000",
    ),
    "a trillion replicates": ("evaluation: {draws: 1000000000000}", "evaluation.draws: must be at most 100000, not"),
    "shares whose sum is infinite": (
        "pretraining: {shares: {facts: 1.0e+308, glossary: 1.0e+308}}",
        "pretraining.shares.facts: must be at most 1000",
    ),
    "a strength below zero": (
        "algorithms: {rmu: {strengths: [0.1, -3.0]}}",
        "algorithms.rmu.strengths[1]: must be above 0.0, not -3.0",
    ),
    "a strength of zero": (
        "algorithms: {gradient_ascent: {strengths: [0.0]}}",
        "algorithms.gradient_ascent.strengths[0]: must be above 0.0, not 0.0",
    ),
    "a block of 5,000 digits": ("grids: {blocks: {bands: ['" + "9" * 5000 + "']}}", "grids.blocks.bands[0]", "'9999"),
    "a key of an earlier version": (
        "matching: {every: 4}",
        "matching.every: this key is no more: looks are at geometric steps now; give their number as `looks`",
    ),
    "a control under a protocol that it has no dose in": (
        "grids: {blocks: {algorithms: [placebo]}}",
        "grids.blocks.protocols[0]: placebo runs under paper, not under 'matched'; give it a grid of its own",
    ),
    "a control around nothing": (
        "algorithms: {shuffled_labels: {of: {method: rmo}}}",
        "algorithms.shuffled_labels.of: must be a method and its settings",
        "Did you mean 'rmu'?",
    ),
    "an escape that stands for no character": ('study: {name: "\\UFFFFFFFF"}', "my.yaml is not YAML"),
    "a folder with braces, which Snakemake reads as wildcards": (
        "corpora: {world: {source: files, settings: {path: 'a{b}', forget_domain: a}}}",
        "corpora.world.settings.path: 'a{b}' holds braces, which Snakemake reads as wildcards",
    ),
    "folders in folders, longer than any path": (
        "study: {results: results/" + "/".join(["a" * 60] * 30) + "}",
        "study.results: 'results/aaaa",
        "is no path that a file system takes",
    ),
    "a revision that leads out of a data set": (
        "exports: {data: {owner/name: ../../x}}",
        "exports.data.owner/name: '../../x' is no revision of owner/name",
    ),
    "a section with nothing in it": ("gates:", "gates: must be a mapping, but nothing stands there"),
    "one name where a list belongs": ("grids: {blocks: {algorithms: rmu}}", "must be a list", "write [rmu]"),
    "an empty list of models": ("study: {models: []}", "study.models: must not be empty"),
    "a name twice in a list": ("grids: {blocks: {seeds: [0, 0]}}", "grids.blocks.seeds: 0 stands more than once"),
    "an unknown model": ("study: {models: [lama]}", "study.models[0]: unknown model 'lama'", "Did you mean 'llama'?"),
    "a model's name in capitals": ("study: {models: [LLAMA]}", "unknown model 'LLAMA'", "Did you mean 'llama'?"),
    "an unknown algorithm": ("grids: {whole: {algorithms: [rmv]}}", "unknown algorithm 'rmv'", "mean 'rmu'?"),
    "an unknown method": ("algorithms: {mine: {method: rmv}}", "algorithms.mine.method", "'rmv'", "'rmu'?"),
    "an unknown source": ("corpora: {world: {source: word}}", "unknown source 'word'", "files, mmlu", "'world'?"),
    "an unknown forget set": ("grids: {whole: {forget_sets: [topic]}}", "unknown forget set 'topic'", "domain"),
    "an unknown band": ("grids: {whole: {bands: [al]}}", "grids.whole.bands[0]: unknown band 'al'", "mean 'all'?"),
    "a block beyond the model": (
        "{study: {models: [llama]}, grids: {whole: {bands: [8]}}}",
        "grids.whole.bands[0]: block 8 is outside model llama of 6 blocks (0 to 5)",
    ),
    "blocks from above to below": ("grids: {whole: {bands: [3-2]}}", "'3-2' must name different blocks from below"),
    "`../` in the study's name": ("study: {name: ../up}", "study.name: name '../up' is not allowed", "without '..'"),
    "`../` in the folder of results": (
        "study: {results: results/../../up}",
        "study.results: must be a folder inside the project",
        "'..'",
    ),
    "results anywhere on the machine": ("study: {results: /tmp/x}", "must be a folder inside the project", "'/'"),
    "results among the project's own files": ("study: {results: src/mute}", "'src/mute' is in src/", "results/NAME"),
    "results inside a folder of another study": (
        "study: {results: results/tables/mine}",
        "'results/tables/mine' is in a folder tables/",
        "use another name",
    ),
    "results in a file": ("study: {results: Makefile}", "must be a folder, but 'Makefile' is something else"),
    "`pathvars`, which Snakemake would take": ("pathvars: {results: elsewhere}", "set study.results instead"),
    "a slash in the name of an algorithm": ("algorithms: {a/b: {method: rmu}}", "name 'a/b' is not allowed"),
    "a dot in the name of a model": ("models: {llama-3.2: {}}", "name 'llama-3.2' is not allowed", "use '_' or '-'"),
    "a line break and colours in a name": ('study: {name: "a\\n\\e[31mb"}', r"name 'a\n\x1b[31mb' is not allowed"),
    "a line break in the name of a grid, listed beside a misspelt one": (
        '{study: {grids: [wole]}, grids: {"a\\nb": {}}}',
        r"study.grids[0]: unknown grid 'wole'; allowed: a\nb, ascent, blocks, whole. Did you mean 'whole'?",
    ),
    "a name of 300 letters": ("study: {name: " + "a" * 300 + "}", "study.name", "use 1 to 64 letters"),
    "names too long together for a file": (
        "{study: {models: [llama], grids: [whole], shard_by: [model, band]}, models: {llama: {blocks: 80}}, "
        f"grids: {{whole: {{bands: [{'-'.join(map(str, range(80)))}]}}}}}}",
        "study: a file would be named llama.0-1-2-",
        "200 are possible",
    ),
    "a Cyrillic а in a key": ("study: {nаme: x}", "unknown key 'nаme'", "mean 'name'?", "CYRILLIC SMALL LETTER A"),
    "a Cyrillic а in a model's name": (
        "study: {models: [llаma]}",
        "unknown model 'llаma'",
        "Did you mean 'llama'?",
        "U+0430 CYRILLIC SMALL LETTER A",
    ),
    "a Cyrillic е in a language": (
        "models: {llama: {languages: [es, pt, еn, en]}}",
        "'еn' is no language code",
        "Did you mean 'en'?",
        "U+0435",
    ),
    "a language in capitals": ("models: {llama: {languages: [en, es, pt, DE]}}", "language 'DE'", "mean 'de'?"),
    "a language with its country": (
        "models: {llama: {languages: [en, es, pt, de-AT]}}",
        "'de-AT' is no language code: use 1 to 16 letters",
        "Did you mean 'de'?",
    ),
    "one language only": ("models: {llama: {languages: [en]}}", "models.llama.languages", "at least 2, not ['en']"),
    "no language held out": (
        "{study: {models: [llama]}, grids: {whole: {sources: [[en, es, pt, de, fr, it, hi]]}}}",
        "grids.whole.sources[0]",
        "are all languages of model llama: none is held out",
    ),
    "a source language that the model does not read": (
        "{study: {models: [llama]}, grids: {whole: {sources: [[en, ja]]}}}",
        "unknown language 'ja'; allowed: de, en",
        "(model llama)",
    ),
    "a source language twice": ("grids: {whole: {sources: [[en, en]]}}", "must be different languages, at least one"),
    "no source language": ("grids: {whole: {sources: [[]]}}", "grids.whole.sources[0]: must be different languages"),
    "nothing left to retain": (
        "corpora: {world: {settings: {subjects: {chemistry: 4, geography: 2}}}}",
        "corpora.world.settings.subjects: none is left to retain",
    ),
    "heads that do not divide the hidden size": ("models: {llama: {heads: 3}}", "128 is no multiple of 3 heads"),
    "a key that stands twice": (
        "models:\n  llama:\n    steps: 3\n    steps: 4\n",
        "models.llama.steps: the key stands twice, in lines 3 and 4 of",
        "only one would count",
    ),
    "a tab in front of a key": ("study:\n\tname: a\n", "my.yaml, line 2", "'\\t'"),
    "ten lines of aliases that make a billion entries": (
        "a: &a [x, x, x, x, x, x, x, x, x, x]\n"
        + "".join(
            f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "my.yaml, line",
        "aliases make more than 250000 entries",
    ),
    "an alias that contains itself": ("study: &s {name: *s}", "line 1: an alias that contains itself"),
    "an alias of nothing": ("study: *nothing", "my.yaml, line 1: an alias (*) of nothing, 'nothing'"),
    "3,000 brackets": ("study: " + "[" * 3000 + "]" * 3000, "my.yaml is nested too deeply: at most 50 levels"),
    "a tag that makes an object of Python": (
        "study: !!python/object/apply:os.system ['exit 1']",
        "my.yaml, line 1",
        "could not determine a constructor for the tag",
    ),
    "a date that is none": ("study: {name: 2024-13-45}", "line 1: '2024-13-45' is no timestamp", "quote it"),
    "a list instead of sections": ("- study\n", "my.yaml is not a mapping of sections"),
    "an empty file": ("", "my.yaml is not a mapping of sections"),
    "two documents in one file": ("study: {name: a}\n---\nstudy: {name: b}\n", "my.yaml, line 2"),
    "a file in UTF-16": ("study: {name: a}".encode("utf-16"), "my.yaml cannot be read: it is not UTF-8 text"),
    "a file in Latin-1": ("study: {name: é}".encode("latin-1"), "my.yaml cannot be read: it is not UTF-8 text"),
    "a zero byte": ("study: {name: a\0}", "my.yaml: holds the character U+0000, which is not allowed in YAML"),
    "an export of a cell that is not there": ("exports: {cells: [{algorithm: rmuu}]}", "'rmuu'", "mean 'rmu'?"),
    "a folder of tasks that is not there": ("exports: {task_folder: ~nobody-here/x}", "'~nobody-here/x' is no folder"),
}
WRONG["a million cells"] = (
    f"{{study: {{grids: [whole], training_seeds: {list(range(200))}}}, "
    f"grids: {{whole: {{seeds: {list(range(400))}, algorithms: [rmu], bands: [each], forget_sets: [domain]}}}}}}",
    "grids.whole: its lists make 1440000 cells; at most 1000000",
)


def _register(given: str, content: str | bytes, *words: str) -> None:
    @refused("config", given, *words)
    def perform(place: Place) -> None:
        study(place, content)


for _given, (_content, *_words) in WRONG.items():
    _register(_given, _content, *map(str, _words))


@refused("config", "a file that is not there", "nowhere.yaml cannot be read")
def _(place: Place) -> None:
    read_study(BASE, place.folder / "nowhere.yaml")


@refused("config", "a folder instead of a file", "cannot be read")
def _(place: Place) -> None:
    read_study(BASE, place.folder)


@refused("config", "results in a folder that is a link to itself", "must be a folder, but", "is something else")
def _(place: Place) -> None:
    import contextlib

    (place.folder / "loop").symlink_to("loop")
    with contextlib.chdir(place.folder):
        checked_study({"study": {"results": "loop"}})


@refused("config", "a misspelt key, to `python -m mute plan`", "models.llama.stpes", "Did you mean 'steps'?")
def _(place: Place) -> str:
    return mute("plan", str(place.write("my.yaml", "models: {llama: {stpes: 3}}")))


@refused("config", "a misspelt key, to `python -m mute freeze`", "models.llama.stpes", "Did you mean 'steps'?")
def _(place: Place) -> str:
    return mute("freeze", str(place.write("my.yaml", "models: {llama: {stpes: 3}}")))


@refused("config", "a number instead of the section `study`, to `make study`", "study: must be a mapping, not 3")
def _(place: Place) -> str:
    path = place.write("my.yaml", "study: 3\n")
    code, said = python("workflow/study.py", "run", "--cores", "1", "--configfile", str(path), "--", "-n")
    assert code != 0
    return said[said.index("the configuration cannot be used:") :]


@refused("config", "a pipe as a config file, which may never end", "is no file")
def _(place: Place) -> str:
    os.mkfifo(place.folder / "my.yaml")
    return mute("plan", str(place.folder / "my.yaml"))


@taken("config", "`1e-5`, which YAML reads as text", "as the number it is")
def _(place: Place) -> None:
    assert study(place, "algorithms: {rmu: {learning_rate: 1e-5}}").settings("rmu")["learning_rate"] == 1e-5


@taken("config", "anchors, aliases and merge keys", "as YAML means them, the own key over the merged one")
def _(place: Place) -> None:
    content = (
        "models:\n  llama: &a {steps: 4, blocks: 3}\n  qwen2: {<<: *a, blocks: 5}\nstudy: {models: [llama, qwen2]}\n"
    )
    models = study(place, content).config.models
    assert (models["qwen2"].steps, models["qwen2"].blocks, models["llama"].blocks) == (4, 5, 3)


@taken("config", "a byte order mark and Windows' line ends", "as if they were not there")
def _(place: Place) -> None:
    assert study(place, b"\xef\xbb\xbfstudy:\r\n  name: mine\r\n").config.study.name == "mine"


@taken("config", "results inside another study's, under a name of their own", "each study keeps to its own folders")
def _(place: Place) -> None:
    assert study(place, "study: {results: results/mine}").config.study.results == "results/mine"


@taken("config", "a model of one block", "scores, region and views have that block alone")
def _(place: Place) -> None:
    from families import create
    from mute.analyses import capture
    from mute.findings.views import region_tables

    tokenizer = place.fixture("tokenizer")
    model = create("llama", 0, vocabulary=len(tokenizer), blocks=1, hidden=32, heads=2).requires_grad_(False)
    corpus, encoder = place.fixture("corpus"), place.fixture("encoder")
    scores = capture.score_layers(model, encoder, corpus, ["en", "es"], "domain", draws=2, seed=0)
    assert len(scores) == 1
    assert scores.notna().all(axis=None)
    keys = {"model": "m", "training_seed": 0, "forget_set": "domain"}
    plan = {"algorithms": ["rmu"], "layers": {"alpha": "auto", "rule": "hull", "choice": {}, "stated": {}}}
    regions, views = region_tables(scores.assign(**keys), plan)
    assert set(regions["blocks"]) <= {"0", ""}
    assert set(views["block"]) == {0}


@taken("config", "curves of the layers that leave no region", "no block, and the reason in regions.csv", "empty")
def _(place: Place) -> str:
    import pandas as pd

    from mute.findings.views import region_tables

    keys = {"model": "m", "training_seed": 0, "forget_set": "domain"}
    # Where languages agree they are apart, and the other way round.
    curve = pd.DataFrame({"block": range(3), "cka": [0.9, 0.1, 0.1], "lrds": [0.9, 0.1, 0.1]}).assign(**keys)
    plan = {"algorithms": ["rmu"], "layers": {"alpha": 1.5, "rule": "literal", "choice": {}, "stated": {}}}
    regions, views = region_tables(curve, plan)
    (row,) = regions[regions["chosen"]].to_dict("records")
    assert row["blocks"] == ""
    assert set(views["view"]) == {"shallow", "deep"}
    return f"reason: {row['reason']}"


@taken("config", "a value on the command line over one in a file", "and told without a line of the file", "not '-3'")
def _(place: Place) -> str:
    from mute.config.problems import ConfigError
    from mute.config.sections import overlay

    files = read_files(BASE, place.write("my.yaml", "matching: {looks: 2}"))
    try:
        checked_study(overlay(files.values, {"matching": {"looks": "-3"}}), files)
    except ConfigError as error:
        return error.problems[0]
    raise AssertionError("taken")
