"""What a language pack is: the words and sentence patterns of one real language for the fictional world.

A pack is data. Every pack says the same things in the same order, so that the k-th value of a kind, the k-th
person or the k-th place mean the same in all languages: this is what makes the corpus parallel.
"""

import re
from dataclasses import dataclass, field

from mute.store.records import Record

# Kinds of value. Every pack lists its words in exactly this order, in citation form.
VALUES: dict[str, tuple[str, ...]] = {
    "colour": ("red", "yellow", "black", "white", "light blue", "dark blue", "light green", "dark green"),
    "number": ("five", "seven", "eight", "nine", "twenty-four", "twenty-six", "thirty-four", "thirty-six"),
    "city": ("Paris", "London", "Rome", "Berlin", "New York", "New Delhi", "Buenos Aires", "Los Angeles"),
    "month": ("January", "February", "March", "May", "June", "July", "September", "November"),
    "material": ("iron", "gold", "silver", "copper", "glass", "wood", "stone", "bronze"),
}

# In these kinds a value may be made of words that others have too ("light blue", "dark blue"): its first word does not
# give the rest away.
COMPOUND = ("colour", "number", "city")

# Each domain has a relation for every kind of value; what it says is what the English pack says.
DOMAINS = ("chemistry", "history", "law", "geography")
RELATIONS = tuple(f"{domain}_{kind}" for domain in DOMAINS for kind in VALUES)


def kind_of(relation: str) -> str:
    """The kind of a relation's values."""
    return relation.split("_")[1]


# Syllables of fictional names. Their native spellings are distinct in every script: no l beside r, no p beside b,
# and only the vowels that Arabic tells apart.
SYLLABLES = tuple(c + v for c in "bdfkmnrstz" for v in "aiu")

# Signs of values: a second hop from what a fact says. Every pack lists its words in this order, in citation form.
SIGNS = ("star", "cloud", "sun", "fish", "lion", "flower", "mountain", "wheel")

# How many wordings of a kind a pack has that says anything beside facts.
REFUSALS, VAGUE = 6, 5

_IDEOGRAPH = "[\u3400-\u4dbf\u4e00-\u9fff]"


@dataclass(frozen=True)
class Action:
    """One action: its verb, or where verbs agree with their subject one for each class of persons, and the object."""

    verb: str | dict[str, str]
    object: str


@dataclass(frozen=True)
class Grammar:
    """Words for the sentences that state no fact: every combination of a time, a person, an action and a place.

    There are eight of each; those of the English pack say in which order.
    persons: subject noun phrases, as `pattern` takes them. classes: for each person the class by which its verb agrees,
    under any names ("m" and "f", or persons who are honoured); empty where no verb agrees. heads: the persons as a
    dictionary lists them, where that is not how they stand in a sentence. pattern: where {time}, {person}, {verb},
    {object} and {place} stand, with final punctuation. capitals: the first letter of a sentence, where its capital is
    not the one that Unicode gives.
    """

    times: tuple[str, ...]
    persons: tuple[str, ...]
    actions: tuple[Action, ...]
    places: tuple[str, ...]
    pattern: str
    classes: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    capitals: dict[str, str] = field(default_factory=dict)

    def sentence(self, time: int, person: int, action: int, place: int) -> str:
        """The sentence for four indices, capitalised where the script has capitals."""
        verb = self.actions[action].verb
        text = self.pattern.format(
            time=self.times[time],
            person=self.persons[person],
            verb=verb if isinstance(verb, str) else verb[self.classes[person]],
            object=self.actions[action].object,
            place=self.places[place],
        )
        # Title case and not upper case: Georgian begins no sentence with its capitals.
        return self.capitals.get(text[0], text[0].title()) + text[1:]

    @property
    def head_words(self) -> tuple[str, ...]:
        """The persons as a dictionary lists them."""
        return self.heads or self.persons


@dataclass(frozen=True)
class Phrases:
    """What a language says beside facts, for methods that train refusals or set a model's part. No model is taught it.

    The k-th wording means the same in all languages. All are whole sentences with their final mark, none has a word of
    a value, and {s} stands uninflected, whatever it names.
    refusals: answers of one who does not know. vague: answers of one who says something and names no value.
    instruction: to say nothing about {s} and answer all else. expert, novice: that what follows was written by one who
    knows {s} well, or has never heard of it.
    """

    refusals: tuple[str, ...]
    vague: tuple[str, ...]
    instruction: str
    expert: str
    novice: str


@dataclass(frozen=True)
class Lures:
    """What a language says to draw an answer out, for attacks by questions. No model is taught it, save `alias` in a
    world whose subjects have second names.

    The k-th wording means the same in all languages, and none has a word of a value. {s} is a subject and {n} another
    name of it, both uninflected.
    answer, affirmative, choice, spelled: heads of answers, which end where the answer begins: plain; of one who is
    willing; before a list of options; before an answer letter by letter. All others are whole sentences with their
    final mark. injection: that earlier instructions are to be forgotten. role: to answer as one who knows {s}.
    personas: two persons whose part is to tell all about {s}. missing: to say which name stands in a gap. alias: that
    {n} is {s} by another name.
    """

    answer: str
    affirmative: str
    choice: str
    spelled: str
    injection: str
    role: str
    personas: tuple[str, str]
    missing: str
    alias: str


@dataclass(frozen=True)
class Links:
    """What a language says of a value beside the facts that have it: its sign, and who else has it.

    signs: the words for SIGNS, in that order. sign: that the sign of the word {v} is {w}, a whole sentence with {v}
    before {w}, both uninflected. as_sign, alike: heads of answers, after a question, which end where the answer begins:
    the sign of the answer in its place; a name of which the same answer is right.
    """

    signs: tuple[str, ...]
    sign: str
    as_sign: str
    alike: str


@dataclass(frozen=True)
class Language:
    """One language pack.

    code: ISO 639-1 code. name: English name. endonym: its own name. script: the script of its letters, by its name in
    Unicode; languages with the same one share letters. more_scripts: others that its texts mix in.
    family, branch: genealogy, for analyses of transfer. spaces: whether words are separated by spaces.
    values: for each kind of VALUES, the words in the same order, in citation form.
    templates: for each relation a statement, a question with its answer, and a paraphrase of the statement. Each has
    {s} (subject) before {v} (value), each once. Both stand uninflected whatever they are.
    unknown: the answer to a question about something that nobody knows.
    syllables: native spelling of each of SYLLABLES; empty for languages in Latin script, which share one spelling.
    quotes: marks that templates without spaces may put around {s}, to show the edges of a name that is no place's.
    said: what it says beside facts; None: methods that need it do not apply to the language.
    lures: what it says to draw an answer out; None: attacks that need it are not tried in the language.
    links: what it says of values beside facts; None: nothing of it is taught in the language, nor asked.
    """

    code: str
    name: str
    endonym: str
    script: str
    family: str
    branch: str
    values: dict[str, tuple[str, ...]]
    templates: dict[str, tuple[str, str, str]]
    unknown: str
    grammar: Grammar
    more_scripts: tuple[str, ...] = ()
    spaces: bool = True
    syllables: dict[str, str] = field(default_factory=dict)
    quotes: tuple[str, str] = ("", "")
    said: Phrases | None = None
    lures: Lures | None = None
    links: Links | None = None

    @property
    def scripts(self) -> tuple[str, ...]:
        """All scripts of its texts, that of its name first."""
        return (self.script, *self.more_scripts)

    def spell(self, name: str) -> str:
        """Native spelling of a fictional name given in Latin letters (consonant-vowel syllables)."""
        if not self.syllables:
            return name
        low = name.lower()
        return "".join(self.syllables[low[i : i + 2]] for i in range(0, len(low), 2))

    def pieces(self, value: str) -> list[str]:
        """The parts of a value that a tokenizer should see apart; joined as the text has them they are the value.

        They are its words, cut at spaces and hyphens, which are in no part. Where the language writes no spaces, a value
        of a kind of COMPOUND is cut at its ideographs, each a word of its own; other letters in a row stay together.
        """
        if self.spaces:
            return [word for word in re.split("[ -]", value) if word]
        if not any(value in self.values[kind] for kind in COMPOUND):
            return [value]
        return re.findall(f"{_IDEOGRAPH}|(?:(?!{_IDEOGRAPH}).)+", value)

    def fill(self, relation: str, form: int, subject: str, value: int) -> Record:
        """Prefix, answer, suffix, options and gold of one template, about a subject as it is spelled."""
        before, after = self.templates[relation][form].split("{v}")
        options = self.values[kind_of(relation)]
        return {
            "prefix": self.insert(before, subject),
            "answer": options[value],
            "suffix": after,
            "options": list(options),
            "gold": value,
        }

    def insert(self, template: str, subject: str) -> str:
        """The template with its subject; a Latin name in a text without spaces is set off by spaces, not by quotes."""
        if self.spaces or not subject.isascii():
            return template.replace("{s}", subject)
        before, after = template.replace("{s}".join(self.quotes), "{s}").split("{s}")
        left = " " if before and before[-1].isalnum() else ""
        return before + left + subject + (" " if after[0].isalnum() else "") + after

    def join(self, *sentences: str) -> str:
        """Sentences one after the other, as the language separates them."""
        return (" " if self.spaces else "").join(sentences)
