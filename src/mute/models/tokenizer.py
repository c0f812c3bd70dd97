"""A byte-level BPE tokenizer trained on the corpus, and how a text of three parts becomes tokens."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

# What transformers 5 and 4 call a tokenizer that is all in its tokenizer.json.
_PLAIN = ("TokenizersBackend", "PreTrainedTokenizerFast")
BOS, EOS, PAD = "<s>", "</s>", "<pad>"
# Letters with their marks stay together: the usual byte-level split cuts Devanagari at its vowel signs.
PATTERN = r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+"


def train(segments: Iterable[str], vocabulary: int) -> Any:
    """A fast tokenizer of `transformers` with at most `vocabulary` entries.

    `segments` are the texts as `parts` cuts them, so that no entry reaches over the edge of an answer.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    # A text, and each part of it, begins as if a space stood before it: a word is then the same token at the start of a
    # sentence, after a space, and where its language writes none.
    core.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Strip(right=False), normalizers.Prepend(" ")]
    )
    core.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(segments, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=BOS, eos_token=EOS, pad_token=PAD)


def load(folder: Path | str) -> Any:
    """The tokenizer saved in a model directory; remote code is never run.

    A tokenizer that says it is a plain fast one is opened as such: AutoTokenizer gives every Qwen2 model Qwen2's own
    way of cutting texts, whatever its directory says.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    about = Path(folder) / "tokenizer_config.json"
    named = json.loads(about.read_text(encoding="utf-8")).get("tokenizer_class") if about.is_file() else None
    kind = PreTrainedTokenizerFast if named in _PLAIN else AutoTokenizer
    return kind.from_pretrained(str(folder), trust_remote_code=False)


def parts(prefix: str, answer: str, suffix: str = "") -> tuple[str, str, str]:
    """The three texts with the space before the answer on the answer's side, as words carry it."""
    stripped = prefix.rstrip(" ")
    return stripped, " " * (stripped != prefix) + answer, suffix


class Encoder:
    """Encodes texts part by part, remembering what it has seen: a corpus repeats its parts many times."""

    def __init__(self, tokenizer: Any) -> None:
        self.tokenizer = tokenizer
        self.start = [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]
        self.end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        self._seen: dict[str, list[int]] = {}

    def plain(self, text: str) -> list[int]:
        """Tokens of one part, with no special tokens."""
        if text not in self._seen:
            # A text that says `</s>` says three letters: only we mark where a sequence begins and ends.
            as_text = {"add_special_tokens": False, "split_special_tokens": True}
            self._seen[text] = self.tokenizer(text, **as_text)["input_ids"] if text else []
        return self._seen[text]

    def prompt(self, prefix: str) -> list[int]:
        """Beginning of sequence and prefix: what a model reads before it answers.

        At least one token, for an answer is read after something: without a beginning of sequence, an empty prefix
        is the end of the text before.
        """
        return self.start + self.plain(prefix.rstrip(" ")) or list(self.end)

    def answer(self, prefix: str, answer: str) -> list[int]:
        """Tokens of an answer as it stands after `prefix`."""
        return self.plain(parts(prefix, answer)[1])

    def whole(self, prefix: str, answer: str, suffix: str) -> list[int]:
        """Beginning, the three parts, end of sequence: what a model is trained on."""
        return self.prompt(prefix) + self.answer(prefix, answer) + self.plain(suffix) + self.end
