"""Hostile model directories: each is refused when the study is planned, or when it is opened."""

import json
import pickle  # noqa: TID251  made here to be refused
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from cases import Place, refusal, refused, taken
from safetensors.torch import load_file, save_file

from families import create
from mute.engine import verify
from mute.models import loading, tokenizer
from mute.study.cells import Study
from mute.study.checks import checked_study

OPENED = "when it is opened, before any training"
_MADE: dict[str, dict[str, bytes]] = {}


def directory(place: Place, family: str = "qwen3") -> Path:
    """A small model with its tokenizer, to be spoilt."""
    if family not in _MADE:
        words, folder = place.fixture("tokenizer"), place.folder / "whole"
        create(family, 0, vocabulary=len(words), blocks=2, hidden=16, heads=2).save_pretrained(folder)
        words.save_pretrained(folder)
        _MADE[family] = {path.name: path.read_bytes() for path in folder.iterdir()}
    folder = place.folder / "model"
    folder.mkdir()
    for name, content in _MADE[family].items():
        (folder / name).write_bytes(content)
    return folder


def planned(folder: Path) -> Study:
    model = {"pretrained": str(folder), "languages": ["en", "es", "pt", "de"]}
    return checked_study({"study": {"models": ["mine"]}, "models": {"mine": model}})


def opened(folder: Path) -> Any:
    """The model, as the job that adapts it opens and checks it, with its tokenizer."""
    model = loading.load(folder)
    verify.check(model, 2)
    encoder = tokenizer.Encoder(tokenizer.load(folder))
    tokenizer.check(encoder, model.get_input_embeddings().num_embeddings)
    return model


def configured(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def tensors(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return spoil


def replaced(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _plan(given: str, spoil: Callable[[Path], object], *words: str, until: str = "") -> None:
    """Refused by the plan; and, as the hub's models are planned without being here, when it is opened as well."""

    @refused("models", given, *words, until=until)
    def perform(place: Place) -> None:
        folder = directory(place)
        spoil(folder)
        assert type(refusal(opened, folder)) is ValueError
        planned(folder)


def _open(given: str, spoil: Callable[[Path], object], *words: str, family: str = "qwen3", until: str = "") -> None:
    @refused("models", given, *words, when=OPENED, until=until)
    def perform(place: Place) -> None:
        folder = directory(place, family)
        spoil(folder)
        opened(folder)


def sharded(index: Any) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / "model.safetensors").rename(folder / "model-00001-of-00002.safetensors")
        (folder / "model.safetensors.index.json").write_text(json.dumps(index))

    return spoil


def _only_a_pickle(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    torch.save({}, folder / "pytorch_model.bin")


def _its_own_code(folder: Path) -> None:
    (folder / "modeling_own.py").write_text("raise SystemExit('run')\n")
    configured(auto_map={"AutoModelForCausalLM": "modeling_own.Own"})(folder)


def _without(folder: Path, pattern: str) -> None:
    for path in folder.glob(pattern):
        path.unlink()


_plan("a config.json that asks to run its own code", _its_own_code, "(auto_map)", "code from a model is never run")
_plan("the same inside a part of it", configured(text_config={"auto_map": {"a": "b.C"}}), "(auto_map)", "never run")
_plan("`trust_remote_code: true` in config.json", configured(trust_remote_code=True), "(trust_remote_code)")
_plan(
    "attention computed by code of the hub",
    configured(_attn_implementation="owner/kernel"),
    "_attn_implementation: 'owner/kernel'",
    "allowed: eager, sdpa",
)
_plan(
    "a tokenizer that asks to run its own code",
    replaced("tokenizer_config.json", b'{"auto_map": {"AutoTokenizer": ["own.Words", null]}}'),
    "tokenizer_config.json",
    "(auto_map)",
)
_plan("weights as a pickle alone", _only_a_pickle, "pytorch_model.bin", "may run any code", "save_pretrained")
_plan("no weights", lambda folder: _without(folder, "*.safetensors"), "has no weights (model.safetensors")
_plan("no tokenizer", lambda folder: _without(folder, "tokenizer*"), "has no tokenizer (tokenizer.json")
_plan("no config.json", lambda folder: _without(folder, "config.json"), "it has no config.json")
_plan(
    "a link to itself as weights",
    lambda folder: (_without(folder, "*.safetensors"), (folder / "model.safetensors").symlink_to("model.safetensors")),
    "has no weights",
)
_plan(
    "an index that leads out of the directory",
    sharded({"weight_map": {"a": "../../secrets"}}),
    "lacks 1 of 1 files of weights: ../../secrets",
)
_plan("an index of a missing shard", sharded({"weight_map": {"a": "model-00002-of-00002.safetensors"}}), "lacks 1 of 1")
_plan("an index of nothing", sharded({"weight_map": {}}), "index.json cannot be read")
_plan("an index of numbers", sharded({"weight_map": {"a": 3}}), "index.json cannot be read")
_plan("a config.json that is a list", replaced("config.json", b"[1]"), "config.json is no mapping of settings")
_plan("half a config.json", replaced("config.json", b"{"), "config.json cannot be read:", until="read:")
_plan("a config.json in UTF-16", replaced("config.json", b"\xff\xfe{"), "config.json cannot be read: it is not UTF-8")
_plan("a config.json of 100,000 brackets", replaced("config.json", b"[" * 100_000), "is nested too deeply")
_plan("an unknown family", configured(model_type="mamba"), "'mamba'; allowed: bloom, gemma", "anatomy.py")
_plan("no number of blocks", configured(num_hidden_layers="2"), "says no number of blocks", "'2'")
_plan("`true` blocks", configured(num_hidden_layers=True), "says no number of blocks", "True")
_plan("no block", configured(num_hidden_layers=0), "says 0 blocks; a model has 1 to 512")
_plan("a billion blocks", configured(num_hidden_layers=10**9), "says 1000000000 blocks; a model has 1 to 512")
_plan("no head", configured(num_attention_heads=0), "num_attention_heads: 0; it must be a number from 1 to 10000000")
_plan("a negative vocabulary", configured(vocab_size=-1), "vocab_size: -1; it must be a number from 1 to")
_plan("a hidden size beyond any memory", configured(hidden_size=10**30), "hidden_size: 1000", "from 1 to 10000000")
_plan("a billion labels, each of which would get a name", configured(num_labels=10**9), "num_labels: 1000000000")
_plan("NaN in config.json", configured(rms_norm_eps=float("nan")), "rms_norm_eps: nan; it must be finite")
_plan("quantized weights", configured(quantization_config={"quant_method": "gptq"}), "(quantization_config)")


def _tokenizer(change: Callable[[dict], object], name: str = "tokenizer.json") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        (folder / name).write_text(json.dumps(value))

    return write


_open("a tokenizer that cuts words at random", _tokenizer(lambda t: t["model"].update(dropout=0.5)), "(dropout 0.5)")
_open(
    "text as the longest text of a tokenizer",
    _tokenizer(lambda t: t.update(model_max_length="x"), "tokenizer_config.json"),
    "cannot be opened",
)

_DOWN = "model.layers.1.mlp.down_proj.weight"
_open("a missing tensor", tensors(lambda t: {k: v for k, v in t.items() if k != _DOWN}), f"1 are missing ({_DOWN})")
_open(
    "an extra tensor", tensors(lambda t: {**t, "extra.weight": torch.zeros(2)}), "1 are of no parameter (extra.weight)"
)
_open(
    "a tensor of another shape", tensors(lambda t: {**t, _DOWN: torch.zeros(16, 3)}), f"({_DOWN} (16, 3), not (16, 32))"
)
_open(
    "no tensor for embeddings that are the head's, too",
    tensors(lambda t: {k: v for k, v in t.items() if "word_embeddings." not in k}),
    "are missing (lm_head.weight, transformer.word_embeddings.weight)",
    family="bloom",
)
_open(
    "no head, and none tied", tensors(lambda t: {k: v for k, v in t.items() if k != "lm_head.weight"}), "lm_head.weight"
)
_open("NaN in a weight", tensors(lambda t: {**t, _DOWN: t[_DOWN] * float("nan")}), "(NaN or infinite)", _DOWN)
_open("infinity in a weight", tensors(lambda t: {**t, _DOWN: t[_DOWN] + float("inf")}), "(NaN or infinite)", _DOWN)
_open("whole numbers for weights", tensors(lambda t: {k: v.int() for k, v in t.items()}), "cannot be trained", "I32")
_open(
    "a pickle named model.safetensors",
    replaced("model.safetensors", pickle.dumps({"a": print})),
    "model.safetensors is no safetensors file",
    until="no safetensors file:",
)
_open("weights cut short", lambda f: _cut(f / "model.safetensors"), "a file is missing or damaged", until="damaged:")
_open("empty weights", replaced("model.safetensors", b""), "a file is missing or damaged", until="damaged:")
_open("a header that claims all memory", replaced("model.safetensors", b"\xff" * 8), "or damaged", until="damaged:")
_open("an activation that nobody knows", configured(hidden_act="nope"), "transformers does not take it", "nope")
_open("text for a number", configured(rms_norm_eps="x"), "transformers does not take it", until="take it:")
_open("padding beyond the vocabulary", configured(pad_token_id=10**6), "does not take it", until="take it:")
_open("tokenizer.json cut short", replaced("tokenizer.json", b"{"), "tokenizer in", "cannot be opened", until="opened:")
_open("a tokenizer.json of nothing", replaced("tokenizer.json", b"{}"), "cannot be opened", until="opened:")
_open("weights of another family", configured(model_type="llama"), "4 are of no parameter", "k_norm")
_open(
    "fewer blocks in config.json than weights", configured(num_hidden_layers=1, layer_types=None), "are of no parameter"
)


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:500])


@refused("models", "a tokenizer larger than the vocabulary", "tokens up to", "embeddings for 300 alone", when=OPENED)
def _(place: Place) -> None:
    folder = directory(place)
    model = create("qwen3", 0, vocabulary=300, blocks=2, hidden=16, heads=2)
    model.save_pretrained(folder)
    opened(folder)


@taken("models", "a vocabulary larger than the tokenizer", "as many models have it: no text gives those tokens")
def _(place: Place) -> None:
    folder = directory(place)
    create("qwen3", 0, vocabulary=2000, blocks=2, hidden=16, heads=2).save_pretrained(folder)
    assert opened(folder).config.vocab_size == 2000


@taken("models", "a pickle beside the safetensors", "not opened")
def _(place: Place) -> None:
    folder = directory(place)
    (folder / "pytorch_model.bin").write_bytes(b"no pickle at all")
    opened(folder)


@taken("models", "a Python file beside the weights", "not run, and not copied")
def _(place: Place) -> None:
    from mute.models.directory import files

    folder = directory(place)
    (folder / "modeling_qwen3.py").write_text("raise SystemExit('run')\n")
    opened(folder)
    assert not [path for path in files(folder) if path.suffix == ".py"]


@taken("models", "a link to the directory inside it", "not followed")
def _(place: Place) -> None:
    from mute.hub import copies

    folder = directory(place)
    (folder / "again").symlink_to(folder)
    opened(folder)
    assert {path.parent for path in copies.files(copies.Repo("model", str(folder)))} == {folder}


@taken("models", "tied embeddings in config.json, but two different tensors", "each as it stands in the weights")
def _(place: Place) -> None:
    folder = directory(place)
    configured(tie_word_embeddings=True)(folder)
    model, own = opened(folder), load_file(folder / "model.safetensors")
    assert torch.equal(model.lm_head.weight, own["lm_head.weight"])
    assert torch.equal(model.model.embed_tokens.weight, own["model.embed_tokens.weight"])


@refused("models", "an id that is neither of the hub nor a directory", "'no such id' is neither an id of the hub")
def _(place: Place) -> None:
    planned(Path("no such id"))


@refused("models", "a directory of nobody's", "there is no directory '~nobody-here/model'")
def _(place: Place) -> None:
    planned(Path("~nobody-here/model"))


@refused("models", "an id of 5,000 letters", "models.mine.pretrained")
def _(place: Place) -> None:
    planned(Path("/".join(["x" * 2500] * 2) + "/y"))


def _constant(place: Place, scale: float) -> None:
    """The scores of a model whose every state is the same vector, or zero."""
    import copy

    from mute.analyses import capture

    model = copy.deepcopy(place.fixture("random_model")("llama"))
    embeddings = model.get_input_embeddings().weight
    embeddings.copy_(scale * torch.ones_like(embeddings))
    if not scale:
        for parameter in model.parameters():
            parameter.zero_()
    corpus, encoder = place.fixture("corpus"), place.fixture("encoder")
    capture.score_layers(model, encoder, corpus, ["en", "es"], "domain", draws=2, seed=0)


SCORED = "by the job that scores the layers"


@refused("models", "states that do not differ between texts", "the same state after block 0 for all", when=SCORED)
def _(place: Place) -> None:
    _constant(place, 1.0)


@refused("models", "states that are all zero", "the same state after block 0 for all", when=SCORED)
def _(place: Place) -> None:
    _constant(place, 0.0)


@refused("models", "states that are NaN", "states hold values that are not finite", when=SCORED)
def _(place: Place) -> None:
    _constant(place, float("nan"))
