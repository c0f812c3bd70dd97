"""Tokenizers in the styles of pretrained models: parts of a text are the tokens that the whole text has."""

import itertools

import pytest
from tokenizers import Regex, Tokenizer, decoders, normalizers, pre_tokenizers, processors, trainers
from tokenizers import models as cores
from transformers import PreTrainedTokenizerFast

from mute.models import tokenizer as tokenizers
from mute.models.tokenizer import Encoder

BYTES = [f"<0x{i:02X}>" for i in range(256)]
GPT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
# Style: (special tokens by what they are for, whether a beginning of sequence is put before a text).
STYLES = {
    "llama3": ({"bos_token": "<|begin_of_text|>", "eos_token": "<|end_of_text|>"}, True),
    "qwen2": ({"eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>"}, False),
    "gpt_neox": ({"bos_token": "<|endoftext|>", "eos_token": "<|endoftext|>"}, False),
    "bloom": ({"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>"}, False),
    "gemma": ({"bos_token": "<bos>", "eos_token": "<eos>", "pad_token": "<pad>"}, True),
    "mistral": ({"bos_token": "<s>", "eos_token": "</s>"}, True),
    "metaspace": ({"bos_token": "<s>", "eos_token": "</s>"}, True),
}
BYTE_LEVEL = ("llama3", "qwen2", "gpt_neox", "bloom")
# One puts a space before a text that stands alone, and none before a part that goes on.
SPACED = ("mistral", "metaspace")


def build(style: str, segments: list[str]) -> PreTrainedTokenizerFast:
    special, begins = STYLES[style]
    names = list(dict.fromkeys(special.values()))
    if style in BYTE_LEVEL:
        core = Tokenizer(cores.BPE())
        if style == "gpt_neox":
            core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        else:
            split = pre_tokenizers.Split(Regex(GPT), behavior="isolated")
            core.pre_tokenizer = pre_tokenizers.Sequence(
                [split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
            )
        core.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        core, alphabet = Tokenizer(cores.BPE(byte_fallback=True, unk_token=names[0])), []
        if style == "mistral":
            core.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
            core.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), behavior="merged_with_next")
        elif style == "gemma":
            core.normalizer = normalizers.Replace(" ", "▁")
            core.pre_tokenizer = pre_tokenizers.Split(Regex("▁"), behavior="merged_with_next")
        else:
            core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        core.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
        names += BYTES
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=names, initial_alphabet=alphabet, show_progress=False)
    core.train_from_iterator(segments, trainer)
    if begins:
        bos = special["bos_token"]
        core.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, core.token_to_id(bos))]
        )
    return PreTrainedTokenizerFast(tokenizer_object=core, **special)


@pytest.fixture(scope="module")
def rows(corpus):
    return list(corpus.texts.iloc[::7][["prefix", "answer", "suffix"]].itertuples(index=False, name=None))


@pytest.fixture(scope="module", params=STYLES)
def style(request):
    return request.param


@pytest.fixture(scope="module")
def encoder(style, rows, tmp_path_factory):
    """Saved and opened again, as it is beside a model."""
    folder = tmp_path_factory.mktemp(style)
    build(style, ["".join(row) for row in rows]).save_pretrained(folder)
    return Encoder(tokenizers.load(folder))


def test_a_sequence_begins_as_the_tokenizer_begins_it(style, encoder):
    special, begins = STYLES[style]
    ids = encoder.tokenizer.convert_tokens_to_ids
    assert encoder.start == ([ids(special["bos_token"])] if begins else [])
    assert encoder.end == [ids(special["eos_token"])]
    assert encoder.prompt("") == (encoder.start or encoder.end), "an answer is read after something"
    assert encoder.start + encoder.plain("Is it so?") == encoder.tokenizer("Is it so?")["input_ids"]


def test_parts_are_the_tokens_of_the_whole_text(style, encoder, rows):
    """Where the answer follows a space they agree token for token; nothing is doubled, lost or added anywhere."""
    assert encoder._puts_spaces == (style in SPACED)
    agreed = 0
    for prefix, answer, suffix in rows:
        parts = encoder.whole(prefix, answer, suffix)
        text = prefix.rstrip(" ") + (" " if prefix.endswith(" ") else "") + answer
        whole = encoder.start + encoder.plain(text)
        assert encoder.tokenizer.decode(parts, skip_special_tokens=True).strip() == (text + suffix).strip()
        if prefix.endswith(" "):
            assert encoder.prompt(prefix) + encoder.answer(prefix, answer) == whole
            agreed += 1
    assert agreed > 20


def test_a_space_is_not_doubled_before_an_answer(style, encoder):
    tokens = encoder.tokenizer.convert_ids_to_tokens(encoder.answer("The answer is ", "red"))
    mark = "Ġ" if style in BYTE_LEVEL else "▁"
    assert "".join(tokens) == f"{mark}red"
    joined = encoder.tokenizer.convert_ids_to_tokens(encoder.answer("答えは", "red"))
    assert "".join(joined) == "red", "no space where the language writes none"


def test_a_text_that_spells_a_special_token_is_text(style, encoder):
    special = {*encoder.start, *encoder.end}
    for text in STYLES[style][0].values():
        assert not special & set(encoder.plain(f"a {text} b"))
        assert not special & set(encoder.after(f" {text}"))


def test_options_of_one_question_differ(encoder, corpus):
    for _, row in itertools.islice(corpus.texts.drop_duplicates(["language", "prefix"]).iterrows(), 40):
        answers = [tuple(encoder.answer(row["prefix"], option)) for option in row["options"]]
        assert len(set(answers)) == len(answers)


def test_a_model_must_have_an_embedding_for_every_token(encoder):
    """It may have more; and a special token past the last embedding is given by no text."""
    size = len(encoder.tokenizer)
    tokenizers.check(encoder, size)
    tokenizers.check(encoder, size + 100)
    with pytest.raises(ValueError, match=f"gives tokens up to .*, but the model has embeddings for {size - 50} alone"):
        tokenizers.check(encoder, size - 50)
    encoder.tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    tokenizers.check(encoder, size)
