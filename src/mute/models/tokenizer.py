"""A byte-level BPE tokenizer trained on the corpus, and how a text of three parts becomes tokens."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, cast

from mute.corpus.schema import EDGE
from mute.models import directory

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizer, PreTrainedTokenizerFast

# By their names: transformers is not imported here.
Words: TypeAlias = "PreTrainedTokenizer | PreTrainedTokenizerFast"

# What transformers 5 and 4 call a tokenizer that is all in its tokenizer.json.
_PLAIN = ("TokenizersBackend", "PreTrainedTokenizerFast")
BOS, EOS, PAD = "<s>", "</s>", "<pad>"
# Letters with their marks stay together: the usual byte-level split cuts Devanagari at its vowel signs.
SPACELESS = r"\p{Han}\p{Hiragana}\p{Katakana}"
PATTERN = r" ?[\p{L}\p{M}]+| ?\p{N}+| ?[^\s\p{L}\p{M}\p{N}]+|\s+"


def train(segments: Iterable[str], vocabulary: int) -> Words:
    """A fast tokenizer of `transformers` with at most `vocabulary` entries.

    `segments` are the texts as `parts` cuts them, so that no entry reaches over the edge of an answer; nor does
    one over an EDGE in them, where a space would stand in other languages.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    # A text, and each part of it, begins as if a space stood before it: a word is then the same token at the start of
    # a sentence and after a space. Where a script writes no spaces, none stands before a word anywhere: a name is then
    # the same tokens in its own language and in a sentence of another.
    core.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Strip(right=False),
            normalizers.Prepend(" "),
            normalizers.Replace(Regex(f" (?=[{SPACELESS}])"), ""),
        ]
    )
    words = pre_tokenizers.Split(Regex(PATTERN), behavior="isolated")
    letters = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    edges = pre_tokenizers.Split(EDGE, behavior="removed")
    core.pre_tokenizer = pre_tokenizers.Sequence([edges, words, letters])
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, BOS, EOS],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(segments, trainer)
    # What was never joined in training is joined nowhere.
    core.pre_tokenizer = pre_tokenizers.Sequence([words, letters])
    # Who opens the model elsewhere gives it texts that begin as those that it was trained on.
    core.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", special_tokens=[(BOS, core.token_to_id(BOS))]
    )
    return PreTrainedTokenizerFast(tokenizer_object=core, bos_token=BOS, eos_token=EOS, pad_token=PAD)


def load(folder: Path | str) -> Words:
    """The tokenizer saved in a model directory; remote code is never run.

    A tokenizer that says it is a plain fast one is opened as such: AutoTokenizer gives every Qwen2 model Qwen2's own
    way of cutting texts, whatever its directory says.
    """
    from transformers import AutoTokenizer, PreTrainedTokenizerFast

    kind: Any = PreTrainedTokenizerFast if directory.tokenizer_class(Path(folder)) in _PLAIN else AutoTokenizer
    try:
        opened = kind.from_pretrained(str(folder), trust_remote_code=False)
        opened("a")
    except (KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        # What a foreign file breaks has as many types as there are places, and below Python it is no Exception.
        raise ValueError(f"the tokenizer in {folder} cannot be opened: {directory.first_line(error)}") from error
    core = getattr(getattr(opened, "backend_tokenizer", None), "model", None)
    if dropout := getattr(core, "dropout", None):
        raise ValueError(
            f"the tokenizer in {folder} cuts words at random (dropout {dropout}), so that no two jobs read the same "
            "tokens: set `dropout` of `model` in its tokenizer.json to null"
        )
    return opened


def parts(prefix: str, answer: str, suffix: str = "") -> tuple[str, str, str]:
    """The three texts with the space before the answer on the answer's side, as words carry it."""
    stripped = prefix.rstrip(" ")
    return stripped, " " * (stripped != prefix) + answer, suffix


# No tokenizer joins it with what follows.
_BREAK = "\n"


def _put_before(tokenizer: Words, plain: list[int]) -> list[int]:
    """The special tokens that a tokenizer puts before "a", whose own tokens are `plain`."""
    whole = tokenizer("a")["input_ids"]
    places = (i for i in range(len(whole)) if whole[i : i + len(plain)] == plain)
    return whole[: next(places, 0)]


def check(encoder: "Encoder", entries: int) -> None:
    """Raise ValueError unless a model with `entries` embeddings can read all that the tokenizer gives.

    More embeddings than tokens are common, and so are special tokens past them, which no text gives.
    """
    special = set(encoder.tokenizer.all_special_ids) | set(encoder.tokenizer.added_tokens_decoder)
    most = max([i for i in encoder.tokenizer.get_vocab().values() if i not in special], default=0)
    if max([most, *encoder.start, *encoder.end]) >= entries:
        raise ValueError(f"the tokenizer gives tokens up to {most}, but the model has embeddings for {entries} alone")


class Encoder:
    """Encodes texts part by part, remembering what it has seen: a corpus repeats its parts many times.

    start: tokens that the tokenizer itself puts before a text: a beginning of sequence, or none, as its model is used
    to; end: the end of sequence, if it has one.
    """

    def __init__(self, tokenizer: Words) -> None:
        self.tokenizer = tokenizer
        self._seen: dict[str, list[int]] = {}
        self._after: dict[str, list[int]] = {}
        self.start = _put_before(tokenizer, self.plain("a"))
        self.end = [] if tokenizer.eos_token_id is None else [tokenizer.eos_token_id]
        self._puts_spaces = self._begins_with_a_space()

    def plain(self, text: str) -> list[int]:
        """Tokens of a text on its own, with no special tokens."""
        if text not in self._seen:
            # A text that says `</s>` says three letters: only we mark where a sequence begins and ends.
            as_text = {"add_special_tokens": False, "split_special_tokens": True}
            self._seen[text] = self.tokenizer(text, **as_text)["input_ids"] if text else []
        return self._seen[text]

    def after(self, text: str) -> list[int]:
        """Tokens of a part that goes on where another ended."""
        if not self._puts_spaces:
            return self.plain(text)
        if text not in self._after:
            self._after[text] = self.plain(_BREAK + text)[len(self.plain(_BREAK)) :] if text else []
        return self._after[text]

    def _begins_with_a_space(self) -> bool:
        """Whether a text on its own gets a space that the same text after another does not get, as in Mistral.

        A tokenizer that puts one before every part, whatever stands there, is no such case: ours is one.
        """
        lead = self.plain(_BREAK)
        for text in ("a", " a"):
            whole = self.plain(_BREAK + text)
            if whole[: len(lead)] != lead:
                return False
            if whole[len(lead) :] != self.plain(text):
                return True
        return False

    def text(self, tokens: list[int]) -> str:
        """What tokens say, without special ones."""
        return cast(str, self.tokenizer.decode(tokens, skip_special_tokens=True))

    def prompt(self, prefix: str) -> list[int]:
        """Beginning of sequence and prefix: what a model reads before it answers.

        At least one token, for an answer is read after something: without a beginning of sequence, an empty prefix
        is the end of the text before.
        """
        return self.start + self.plain(prefix.rstrip(" ")) or list(self.end)

    def answer(self, prefix: str, answer: str) -> list[int]:
        """Tokens of an answer as it stands after `prefix`."""
        text = parts(prefix, answer)[1]
        return self.after(text) if prefix.strip(" ") else self.plain(text)

    def whole(self, prefix: str, answer: str, suffix: str) -> list[int]:
        """Beginning, the three parts, end of sequence: what a model is trained on."""
        return self.prompt(prefix) + self.answer(prefix, answer) + self.after(suffix) + self.end
