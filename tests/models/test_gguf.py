"""GGUF files as models: as transformers opens them, as the model that they were made from; every error, at once."""

import contextlib
import json
import os
import shutil
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import gguf as library
import gguf_made as made
import pytest
import torch
from test_real_tokenizers import build

from mute.models import directory, loading, pretrained
from mute.models import tokenizer as tokenizers
from mute.models.gguf import folder as gguf
from mute.models.gguf import header, weights
from mute.store import artifacts

FAMILIES = tuple(made.ARCHITECTURES)
TEXTS = [
    "The capital of France is Paris.",
    "  two  spaces\n\tand 123",
    "भारत की राजधानी",
    "日本の首都は東京です。",
    "é",
]


@pytest.fixture(scope="module")
def words(corpus, tokenizer):
    """words(family): a small tokenizer as its family has them."""
    segments = ["".join(row) for row in corpus.texts.iloc[::7][["prefix", "answer", "suffix"]].itertuples(index=False)]
    gemma = build("gemma", segments)
    return lambda family: gemma if family in made.SENTENCEPIECE else tokenizer


@pytest.fixture(scope="module")
def file(tmp_path_factory, words):
    """file(family, kind): a GGUF file that transformers, too, opens as it is meant."""
    files: dict[tuple[str, str], Path] = {}

    def make(family="llama", kind="F32"):
        if (family, kind) not in files:
            folder = tmp_path_factory.mktemp(family)
            own = words(family)
            model = made.model(family, len(own), **made.AS_GIVEN.get(family, {}))
            files[family, kind] = made.write(folder / "model.gguf", model, own, kind)
        return files[family, kind]

    return make


@pytest.fixture
def copy(file, tmp_path):
    """A copy of one, to be spoilt."""
    return Path(shutil.copy(file(), tmp_path / "model.gguf"))


def logits(model, ids):
    with torch.no_grad():
        return model(ids).logits


def reference(path):
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(str(path.parent), gguf_file=path.name, dtype="float32").eval()
    return model, AutoTokenizer.from_pretrained(str(path.parent), gguf_file=path.name)


# The same model


@pytest.mark.parametrize(
    ("family", "kind"),
    [
        *((family, "F32") for family in FAMILIES if family != "gemma"),
        *(("llama", kind) for kind in ("F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0")),
        *(("gemma3_text", "Q8_0"), ("qwen2", "Q4_0"), ("qwen3", "Q8_0")),
    ],
)
def test_logits_and_tokens_equal_those_of_transformers_own_way(family, kind, file, tmp_path):
    """Gemma 1 is left to the next test: transformers opens no GGUF file of it."""
    path = file(family, kind)
    folder, _ = gguf.opened(path, tmp_path)
    model, own = reference(path)
    opened, tokenizer = loading.load(folder), tokenizers.load(folder)
    assert [tokenizer(text)["input_ids"] for text in TEXTS] == [own(text)["input_ids"] for text in TEXTS]
    weights = model.state_dict()
    assert all(torch.equal(tensor, weights[name]) for name, tensor in opened.state_dict().items())
    ids = torch.arange(3, 27).reshape(2, 12)
    assert torch.equal(logits(opened, ids), logits(model, ids))
    assert opened.config.model_type == family


@pytest.mark.parametrize("kind", ["Q4_K", "Q5_K", "Q6_K"])
def test_the_kinds_of_large_files_are_those_of_transformers_own_way(kind, words, tmp_path):
    own = words("llama")
    model = made.model("llama", len(own), hidden_size=256, intermediate_size=512, head_dim=64)
    path = made.write(tmp_path / "model.gguf", model, own, kind)
    assert header.read(path).kinds[kind] == 16
    opened = loading.load(gguf.opened(path, tmp_path / "cache")[0])
    expected = reference(path)[0]
    ids = torch.arange(3, 27).reshape(2, 12)
    assert torch.equal(logits(opened, ids), logits(expected, ids))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_holds_the_model_that_it_was_made_from(family, tied, words, tmp_path):
    """Shapes, caps and heads of their own, which transformers' way would take for those of its defaults."""
    own = words(family)
    model = made.model(family, len(own), tied=tied)
    folder, _ = gguf.opened(made.write(tmp_path / "model.gguf", model, own), tmp_path / "cache")
    opened = loading.load(folder)
    ids = torch.arange(3, 27).reshape(2, 12)
    assert torch.allclose(logits(opened, ids), logits(model, ids), atol=2e-5)
    held = {name for path in directory.weights(folder) for name in weights_of(path)}
    assert ("lm_head.weight" in held) == (not model.config.tie_word_embeddings), "a tied head is in no file"
    about = json.loads((folder / "config.json").read_text())
    assert about["architectures"] == [type(model).__name__]
    assert "quantization_config" not in about


def weights_of(path):
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        return list(file.keys())


@pytest.mark.parametrize("scaling", ["linear", "llama3"])
def test_scaled_rotations_are_the_models_own(scaling, words, tmp_path):
    """transformers' own way leaves them out. Llama 3's are a tensor of divisors, which llama.cpp's converter adds."""
    own, more = words("llama"), {}
    parameters = {"rope_type": scaling, "factor": 8.0, "rope_theta": 500_000.0}
    if scaling == "llama3":
        parameters |= {"low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}
    else:
        more = {"rope_scaling_type": library.RopeScalingType.LINEAR, "rope_scaling_factor": 8.0}
    model = made.model("llama", len(own), rope_parameters=parameters)
    model = type(model)(model.config).eval().requires_grad_(False)  # rotations follow from the configuration
    path = tmp_path / "model.gguf"
    if scaling == "llama3":
        plain = 1 / 500_000.0 ** (torch.arange(0, 16, 2) / 16)
        more["tensor"] = (plain / model.model.rotary_emb.inv_freq).float().numpy()
    write_scaled(path, model, own, rope_freq_base=500_000.0, **more)
    opened = loading.load(gguf.opened(path, tmp_path / "cache")[0])
    ids = torch.arange(3, 63).reshape(1, 60)
    assert torch.allclose(opened.model.rotary_emb.inv_freq, model.model.rotary_emb.inv_freq, rtol=1e-5)
    assert torch.allclose(logits(opened, ids), logits(model, ids), atol=2e-5)


def write_scaled(path, model, own, tensor=None, **settings):
    original = made.add_tensors

    def with_divisors(writer, model, kind):
        if tensor is not None:
            writer.add_tensor("rope_freqs.weight", tensor)
        original(writer, model, kind)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(made, "add_tensors", with_divisors)
        made.write(path, model, own, **settings)


def test_names_of_tensors_are_those_of_transformers_tables(file):
    from transformers.modeling_gguf_pytorch_utils import TensorProcessor, get_gguf_hf_weights_map

    from mute.models.gguf import families

    for family in FAMILIES:
        found = header.read(file(family))
        about = families.config(found)
        model = made.model(family, about["vocab_size"], **made.AS_GIVEN.get(family, {}))
        table = get_gguf_hf_weights_map(model, TensorProcessor())
        ours = {name: parameter.name for name, parameter in families.parameters(found, about).items()}
        assert ours == {name: table[name] for name in ours}


def test_the_engines_type_is_that_of_the_files(file, tmp_path):
    folder, record = gguf.opened(file("llama", "Q8_0"), tmp_path, "bfloat16")
    rounded = loading.load(folder, dtype="bfloat16").state_dict()
    whole = loading.load(gguf.opened(file("llama", "Q8_0"), tmp_path)[0]).state_dict()
    assert record["dtype"] == "bfloat16"
    assert all(torch.equal(tensor.bfloat16(), rounded[name]) for name, tensor in whole.items())


# What is named, planned, and recorded


LANGUAGES = ["en", "es", "de"]


def study(given, **more):
    from mute.study.checks import checked_study

    grid = {"algorithms": ["rmu"], "sources": [["en", "es"]]}
    world = {"settings": {"teaching_languages": ["en", "es"]}}
    model = {"pretrained": str(given), "languages": LANGUAGES, **more}
    return checked_study({"corpora": {"world": world}, "models": {"llama": model}, "grids": {"blocks": grid}})


def refused(given, **more):
    from mute.config.problems import ConfigError

    with pytest.raises(ConfigError) as caught:
        study(given, **more)
    assert len(caught.value.problems) == 1
    return caught.value.problems[0]


def test_a_file_and_the_folder_that_holds_it_are_planned(copy):
    from mute.plan.costs import shapes
    from mute.plan.rules import Plans

    for given in (copy, copy.parent):
        planned = study(given)
        assert planned.config.models["llama"].blocks == made.SHAPE["blocks"]
        shape, said = shapes.of(planned.config.models["llama"])
        assert (shape.blocks, shape.hidden, said) == (2, 64, "its GGUF file")
        plans = Plans(planned)
        wildcards = type("Wildcards", (), {"trained": next(iter(planned.trained))})()
        assert plans.model_files(wildcards) == [str(copy)]
        assert plans.fetched_model(wildcards) == []
        (repo,) = plans.repos.values()
        assert (repo.folder, repo.patterns) == (copy.parent, ("model.gguf",))


def test_planning_imports_no_torch(copy):
    code = (
        "import sys; from mute.models import pretrained; from mute.config.sections import ModelSection as S;"
        "print(pretrained.look_up(S(pretrained=sys.argv[1]))['num_hidden_layers'], 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(copy)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["2", "False"]


def test_a_directory_with_weights_of_its_own_is_no_gguf_file(copy, file, tmp_path):
    folder, _ = gguf.opened(file(), tmp_path / "cache")
    shutil.copy(copy, folder / "beside.gguf")
    assert pretrained.opened(str(folder), "main", tmp_path)[0] == folder


def test_a_record_says_where_a_model_came_from_and_no_place(copy, tmp_path):
    folder, origin = pretrained.opened(str(copy), "main", tmp_path / "cache")
    assert folder.parent == tmp_path / "cache"
    assert origin["gguf"] == {
        "file": "model.gguf",
        "bytes": copy.stat().st_size,
        "sha256": artifacts.sha256(copy),
        "name": "made",
        "licence": None,
        "architecture": "llama",
        "file_type": "unknown",
        "quantisation": {"F32": 21},
    }
    record = artifacts.checked(folder)
    assert {"gguf", "transformers", "tokenizers"} == set(record["versions"])
    assert str(tmp_path) not in json.dumps(record)


# Errors, before anything is written


def spoil(copy, at, content):
    with copy.open("r+b") as target:
        target.seek(at)
        target.write(content)


def test_a_file_that_was_cut_anywhere_is_one_error(copy, tmp_path):
    whole = copy.read_bytes()
    tensors = min(tensor.start for tensor in header.read(copy).tensors.values())
    for size in (1, 3, 4, 10, 23, 24, 40, tensors // 3, tensors // 2, tensors - 40, tensors, len(whole) - 1):
        copy.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"is no (whole )?GGUF file") as caught:
            gguf.opened(copy, tmp_path / "cache")
        assert str(copy) in str(caught.value)
        assert "\n" not in str(caught.value)
    copy.write_bytes(b"")
    assert "it is empty" in refused(copy)
    assert not (tmp_path / "cache").exists()


def test_no_flipped_byte_of_the_header_is_more_than_an_error(copy):
    """Whatever stands there, planning ends quickly, with an error of ours or with a model."""
    whole = copy.read_bytes()
    tensors = min(tensor.start for tensor in header.read(copy).tensors.values())
    for at in [*range(0, 400, 3), *range(400, tensors, 211)]:
        for bits in (0x80, 0xFF):
            changed = bytearray(whole)
            changed[at] ^= bits
            with contextlib.suppress(ValueError):
                gguf._checked(header._Reader(copy, bytes(changed), len(whole)).header())


def test_what_is_no_gguf_file_is_refused(copy):
    spoil(copy, 0, b"GGML")
    assert "begins with b'GGML', not with b'GGUF'" in refused(copy)
    spoil(copy, 0, b"GGUF" + struct.pack("<I", 1))
    assert "it is of version 1; allowed: (2, 3)" in refused(copy)
    spoil(copy, 0, b"GGUF" + struct.pack(">I", 3))
    assert "it is big-endian" in refused(copy)


def test_an_unknown_quantisation_names_those_that_are_known(copy):
    content = copy.read_bytes()
    name = b"output_norm.weight"
    at = content.index(name) + len(name) + 4 + 8
    spoil(copy, at, struct.pack("<I", 99))
    said = refused(copy)
    assert f"unknown quantisation of tensor 'output_norm.weight' in {copy} 'type 99'; allowed: BF16, F16, F32" in said
    # One of whole numbers, which no weight is.
    spoil(copy, at, struct.pack("<I", library.GGMLQuantizationType.I32))
    assert "'I32'; allowed: " in refused(copy)


def renamed(copy, old, new):
    content = copy.read_bytes()
    assert len(old) == len(new)
    copy.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            b"\x05\0\0\0\0\0\0\0llama",
            b"\x05\0\0\0\0\0\0\0lxama",
            "unknown architecture (general.architecture) 'lxama'; ",
        ),
        (b"llama.block_count", b"llama.block_xount", "lacks llama.block_count, without which"),
        (b"tokenizer.ggml.tokens", b"tokenizer.ggml.tokenx", "has no tokenizer (tokenizer.ggml.tokens)"),
        (b"tokenizer.ggml.merges", b"tokenizer.ggml.mergex", "of its merges (tokenizer.ggml.merges) it has none"),
        (b"tokenizer.ggml.model", b"tokenizer.ggml.mxdel", "has no tokenizer (tokenizer.ggml.model)"),
        (b"\x04\0\0\0\0\0\0\0gpt2", b"\x04\0\0\0\0\0\0\0gpt3", "'gpt3'; allowed: gpt2, llama. Did you mean 'gpt2'?"),
        (b"blk.1.attn_q.weight", b"blk.1.attn_x.weight", "1 are missing (blk.1.attn_q.weight); 1 are of no parameter"),
    ],
)
def test_what_a_file_lacks_is_an_error_before_any_work(old, new, said, copy):
    renamed(copy, old, new)
    assert said in refused(copy)


def test_a_way_to_cut_texts_that_is_not_known_is_refused(copy, tmp_path):
    """Only where it is converted: the table of those that are known is transformers'."""
    renamed(copy, b"\x05\0\0\0\0\0\0\0qwen2", b"\x05\0\0\0\0\0\0\0qwem2")
    with pytest.raises(
        ValueError, match=r"unknown way to cut texts \(tokenizer.ggml.pre\) 'qwem2'.*Did you mean 'qwen2'"
    ):
        gguf.opened(copy, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".lock"]


def test_numbers_that_are_not_finite_are_refused(copy, tmp_path):
    tensor = header.read(copy).tensors["blk.1.ffn_up.weight"]
    spoil(copy, tensor.start + 400, struct.pack("<f", float("nan")))
    with pytest.raises(ValueError, match=r"damaged.*blk.1.ffn_up.weight holds numbers that are not finite"):
        gguf.opened(copy, tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("record.json"))
    assert not list((tmp_path / "cache").rglob("*.part"))


def test_a_flipped_bit_shows_where_a_checksum_lies_beside_the_file(copy, tmp_path):
    (copy.parent / "SHA256SUMS").write_text(f"{artifacts.sha256(copy)}  model.gguf\n")
    gguf.opened(copy, tmp_path / "cache")
    spoil(copy, header.read(copy).tensors["blk.1.ffn_up.weight"].start, b"\x01")
    with pytest.raises(ValueError, match=r"model.gguf is damaged: its sha256 is .* and SHA256SUMS beside it says"):
        gguf.opened(copy, tmp_path / "cache")


def test_what_is_not_there_is_named_with_the_nearest(copy):
    assert f"there is no file 'modell.gguf' in {copy.parent}" in refused(copy.parent / "modell.gguf")
    assert "Did you mean 'model.gguf'?" in refused(copy.parent / "modell.gguf")
    assert "a GGUF file of this machine has no revisions" in refused(copy, revision="v1")
    assert "is 3, but" in refused(copy, blocks=3)
    shutil.copy(copy, copy.parent / "other.gguf")
    assert "holds 2 GGUF files (model.gguf, other.gguf): give one" in refused(copy.parent)


# The disk, and jobs that are killed


def test_a_disk_without_room_is_an_error_before_anything_is_written(copy, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: os.terminal_size((0, 0)) and type("Usage", (), {"free": 10**6}))
    with pytest.raises(ValueError, match=r"model.gguf takes 0.07 GB .* has 0.00 GB free: make room there"):
        gguf.opened(copy, tmp_path / "cache")
    assert [path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()] == [".lock"]


FULL = """
import resource, sys
from pathlib import Path
from mute.models.gguf import folder
resource.setrlimit(resource.RLIMIT_FSIZE, (150_000, 150_000))
try:
    folder.opened(Path(sys.argv[1]), Path(sys.argv[2]))
except ValueError as error:
    sys.exit(str(error))
"""


def test_a_disk_that_fills_up_meanwhile_leaves_nothing_half_made(file, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(file()), str(tmp_path)], capture_output=True, text=True, timeout=300
    )
    assert "cannot be de-quantised into" in done.stderr
    assert "What is finished is kept, and the same command goes on" in done.stderr
    assert not list(tmp_path.rglob("*.safetensors")) + list(tmp_path.rglob("*.part"))
    assert artifacts.sealed(gguf.opened(file(), tmp_path)[0])


@pytest.fixture
def small_shards(monkeypatch):
    monkeypatch.setattr(weights, "SHARD", 60_000)


def test_a_killed_job_goes_on_where_it_was(file, tmp_path, small_shards, monkeypatch):
    class KilledError(BaseException):
        pass

    told = []

    def report(done, total):
        told.append((done, total))
        if done > total / 2:
            raise KilledError

    with pytest.raises(KilledError):
        gguf.opened(file(), tmp_path, report=report)
    (folder,) = tmp_path.iterdir()
    assert artifacts.sealed(folder) is None
    kept = {path.name: path.stat().st_mtime_ns for path in folder.glob("*.safetensors")}
    assert len(kept) > 1
    # One of them was spoilt meanwhile, and a part was left, as by a kill that nothing catches.
    spoilt, *rest = sorted(kept)
    spoil(folder / spoilt, 5000, b"\xff")
    (folder / f".{rest[-1]}.abc.part").write_bytes(b"half")
    again = []
    opened, _ = gguf.opened(file(), tmp_path, report=lambda done, total: again.append(done))
    assert opened == folder
    assert {name: (folder / name).stat().st_mtime_ns == kept[name] for name in kept} == {
        spoilt: False,
        **dict.fromkeys(rest, True),
    }
    assert again[0] > told[0][0], "what is kept is done already"
    assert not [path for path in folder.iterdir() if path.name[0] == "." and path.name != ".lock"]
    other, _ = gguf.opened(file(), tmp_path / "other")
    assert {p.name: artifacts.sha256(p) for p in folder.glob("[!.r]*")} == {
        p.name: artifacts.sha256(p) for p in other.glob("[!.r]*")
    }
    assert torch.equal(
        logits(loading.load(folder), torch.arange(3, 9)[None]),
        logits(reference(file())[0], torch.arange(3, 9)[None]),
    )


def test_a_second_opening_does_nothing(file, tmp_path, monkeypatch):
    folder, first = gguf.opened(file(), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    monkeypatch.setattr(gguf, "_fill", None)
    assert gguf.opened(file(), tmp_path) == (folder, first)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before


def test_a_damaged_directory_is_made_again(file, tmp_path):
    folder, record = gguf.opened(file(), tmp_path)
    spoil(folder / "model.safetensors", 5000, b"\xff\xff")
    assert gguf.opened(file(), tmp_path)[1]["files"] == record["files"]


def test_memory_does_not_grow_with_a_tensor(tmp_path, words, monkeypatch):
    own = words("llama")
    model = made.model("llama", len(own), intermediate_size=60_000, num_hidden_layers=1)
    path = made.write(tmp_path / "model.gguf", model, own, "Q8_0")
    monkeypatch.setattr(weights, "ROWS", 2**14)
    found = header.read(path)
    parameters = gguf.families.parameters(found, gguf.families.config(found))
    largest = max(tensor.shape[0] * tensor.shape[1] * 4 for tensor in found.tensors.values() if len(tensor.shape) == 2)
    tracemalloc.start()
    weights.write(tmp_path / "out.safetensors", found, parameters, list(parameters), "float32", lambda size: None)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert largest > 15e6
    assert peak < largest / 6
