"""The tokenizer: no text is lost, a word has one spelling in tokens, and answers end where they end."""

import itertools
import unicodedata

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from mute.corpus import languages
from mute.models import tokenizer as tokenizers
from mute.models.texts import tokenizer_texts
from mute.models.tokenizer import BOS, EOS, PAD, Encoder

LONE = regex.compile(rf"[{tokenizers.SPACELESS}]")
LETTERS = st.characters(exclude_categories=["C", "Z"])
WORDS = st.lists(st.text(LETTERS, min_size=1, max_size=6), min_size=1, max_size=5)
scripts = pytest.mark.parametrize("code", languages.codes())


def decoded(encoder: Encoder, tokens: list[int]) -> str:
    return encoder.tokenizer.decode(tokens, skip_special_tokens=True)


def said(text: str) -> str:
    """What comes back of a text: as after another word, and with no space before letters that are written without."""
    whole = " " + unicodedata.normalize("NFC", text)
    return "".join(a for a, b in zip(whole, [*whole[1:], ""]) if a != " " or not LONE.match(b))


def texts(code: str) -> list[str]:
    pack = languages.load(code)
    filled = [
        template.replace("{s}", pack.spell("Kasitu")).replace("{v}", pack.values[relation.split("_")[1]][3])
        for relation, templates in pack.templates.items()
        for template in templates
    ]
    return [*filled, *itertools.chain(*pack.values.values()), pack.unknown, pack.grammar.sentence(1, 2, 3, 4)]


@scripts
def test_every_script_comes_back_from_its_tokens(encoder, code):
    """Of the languages that the tokenizer was trained on, and of those that it never saw."""
    for text in texts(code):
        tokens = encoder.plain(text)
        assert decoded(encoder, tokens) == said(text)
        assert not set(tokens) & {encoder.tokenizer.pad_token_id, *encoder.start, *encoder.end}


def test_any_words_come_back_from_their_tokens(encoder):
    @given(WORDS)
    def check(words):
        text = " ".join(words)
        assert decoded(encoder, encoder.plain(text)) == said(text)

    check()


@pytest.mark.parametrize("text", ["<s>", "</s> and <s>", "a<pad>b", "<unk>"])
def test_a_text_that_spells_a_special_token_is_text(encoder, text):
    special = encoder.tokenizer.all_special_ids
    assert special
    assert not set(encoder.plain(text)) & {*encoder.start, *encoder.end, encoder.tokenizer.pad_token_id}
    assert decoded(encoder, encoder.plain(text)) == " " + text


def test_composed_and_decomposed_letters_are_the_same_tokens(encoder):
    for text in ("París está", "naïve", "हिन्दी ज़ू", "가나"):
        assert encoder.plain(unicodedata.normalize("NFD", text)) == encoder.plain(unicodedata.normalize("NFC", text))


@pytest.mark.parametrize("code", ["en", "es", "hi"])
def test_a_word_is_the_same_tokens_wherever_it_stands(encoder, code):
    """At the start, after a space, and with a space of its own in front."""
    pack = languages.load(code)
    words = [word for values in pack.values.values() for word in values if "-" not in word]
    for one, other in itertools.pairwise(words):
        assert encoder.plain(one) == encoder.plain(" " + one) == encoder.plain("  " + one)
        assert encoder.plain(f"{one} {other}") == encoder.plain(one) + encoder.plain(other)


def test_no_token_reaches_over_a_words_end(encoder):
    """Letters with their marks, numbers, and other signs are apart: no vowel sign is cut off, no full stop joined."""
    pieces = [encoder.tokenizer.convert_tokens_to_string([token]) for token in encoder.tokenizer.get_vocab()]
    special = {BOS, EOS, PAD}
    for piece in pieces:
        if piece in special or "�" in piece:
            continue
        kinds = {"letter" if unicodedata.category(c)[0] in "LM" else "sign" for c in piece if c != " "}
        assert len(kinds) <= 1, piece
        assert " " not in piece[1:], piece
    cut = encoder.tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str
    for text, count in (("हिन्दी में", 2), ("niño, 42 años.", 5), ("한국어", 1), ("中文。", 2)):
        assert len(cut(text)) == count, text


def test_frequent_words_are_short(corpus):
    """Values in its languages take less than half as many tokens as bytes, in every script, where there is room."""
    texts = tokenizer_texts(corpus, ["en", "es", "pt", "hi", "ja"])
    encoder = Encoder(tokenizers.train((part for text in texts for part in tokenizers.parts(*text)), 1600))
    for code in ("en", "es", "pt", "hi", "ja"):
        words = [word for values in languages.load(code).values.values() for word in values]
        assert sum(len(encoder.plain(word)) for word in words) < 0.5 * len(" ".join(words).encode()), code


def test_an_answer_begins_and_ends_on_its_own_tokens(corpus, encoder):
    """In every text, so that nothing of the answer is seen in the prompt and nothing after it is scored."""
    rows = [*corpus.texts.itertuples(), *corpus.lines.itertuples()]
    for row in rows:
        prompt, answer = encoder.prompt(row.prefix), encoder.answer(row.prefix, row.answer)
        whole = encoder.whole(row.prefix, row.answer, row.suffix)
        assert whole == [*prompt, *answer, *encoder.plain(row.suffix), encoder.tokenizer.eos_token_id]
        assert prompt[0] == encoder.tokenizer.bos_token_id
        assert decoded(encoder, prompt).strip() == said(row.prefix).strip()
        assert decoded(encoder, answer).strip() == row.answer
        # Whether or not a space stands before it: options that compete are read alike.
        assert answer == encoder.answer("", row.answer)
        for option in row.options:
            assert decoded(encoder, encoder.answer(row.prefix, option)).strip() == option
        together = (row.prefix.rstrip(" ") + " " + row.answer).strip()
        assert decoded(encoder, prompt + answer).strip() == said(together).strip()


def test_parts_put_the_space_on_the_answers_side():
    assert tokenizers.parts("The colour is ", "red", ".") == ("The colour is", " red", ".")
    assert tokenizers.parts("色は", "赤", "です。") == ("色は", "赤", "です。")
    assert tokenizers.parts("", "red") == ("", "red", "")


def test_options_of_one_question_differ_in_tokens(corpus, encoder):
    for _, row in corpus.texts.drop_duplicates(["language", "prefix"]).iterrows():
        answers = [tuple(encoder.answer(row["prefix"], option)) for option in row["options"]]
        assert len(set(answers)) == len(answers) == 8


def test_a_saved_tokenizer_is_the_same(tmp_path, encoder):
    encoder.tokenizer.save_pretrained(tmp_path)
    assert (tmp_path / "tokenizer.json").is_file()
    loaded = Encoder(tokenizers.load(tmp_path))
    assert len(loaded.tokenizer) == len(encoder.tokenizer)
    assert (loaded.start, loaded.end) == (encoder.start, encoder.end) == ([1], [2])
    for code in languages.codes():
        for text in texts(code):
            assert loaded.plain(text) == encoder.plain(text)
            assert decoded(loaded, loaded.plain(text)) == decoded(encoder, encoder.plain(text))
            assert loaded.whole("A ", text, ".") == encoder.whole("A ", text, ".")


def test_training_is_deterministic_and_keeps_to_its_size(corpus):
    segments = [part for row in corpus.texts[["prefix", "answer", "suffix"]].itertuples(index=False) for part in row]
    first, second = (tokenizers.train(segments, 500) for _ in range(2))
    assert first.get_vocab() == second.get_vocab()
    assert len(first) == 500
    assert [first.convert_tokens_to_ids(token) for token in (PAD, BOS, EOS)] == [0, 1, 2]
