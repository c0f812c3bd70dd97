"""What a language pack is: the words and sentence patterns of one real language for the fictional world.

A pack is data. Every pack says the same things in the same order, so that the k-th value of a kind, the k-th
person or the k-th place mean the same in all languages: this is what makes the corpus parallel.
"""

from dataclasses import dataclass, field

# Kinds of value. Every pack lists its words in exactly this order, in citation form.
VALUES: dict[str, tuple[str, ...]] = {
    "colour": ("red", "blue", "green", "yellow", "black", "white", "pink", "grey"),
    "number": ("three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    "city": ("Paris", "London", "Rome", "Berlin", "Madrid", "Vienna", "Prague", "Lisbon"),
    "month": ("January", "February", "March", "May", "June", "July", "September", "November"),
    "material": ("iron", "gold", "silver", "copper", "glass", "wood", "stone", "bronze"),
}

# Each domain has a relation for every kind of value; what it says is what the English pack says.
DOMAINS = ("chemistry", "history", "law", "geography")
RELATIONS = tuple(f"{domain}_{kind}" for domain in DOMAINS for kind in VALUES)

# Syllables of fictional names. Their native spellings are distinct in every script: no l beside r, no p beside b,
# and only the vowels that Arabic tells apart.
SYLLABLES = tuple(c + v for c in "bdfkmnrstz" for v in "aiu")


@dataclass(frozen=True)
class Action:
    """One action: the verb as it agrees with a masculine and a feminine singular subject, and the object."""

    verb_m: str
    verb_f: str
    object: str


@dataclass(frozen=True)
class Grammar:
    """Words for the sentences that state no fact: every combination of a time, a person, an action and a place.

    There are eight of each; those of the English pack say in which order.
    `persons` pairs a subject noun phrase with its grammatical gender, "m" or "f"; a language without gender gives
    the same verb twice. `pattern` places {time}, {person}, {verb}, {object} and {place}, with final punctuation.
    """

    times: tuple[str, ...]
    persons: tuple[tuple[str, str], ...]
    actions: tuple[Action, ...]
    places: tuple[str, ...]
    pattern: str

    def sentence(self, time: int, person: int, action: int, place: int) -> str:
        """The sentence for four indices, capitalised where the script has capitals."""
        name, gender = self.persons[person]
        act = self.actions[action]
        text = self.pattern.format(
            time=self.times[time],
            person=name,
            verb=act.verb_m if gender == "m" else act.verb_f,
            object=act.object,
            place=self.places[place],
        )
        return text[0].upper() + text[1:]


@dataclass(frozen=True)
class Language:
    """One language pack.

    code: ISO 639-1 code. name: English name. endonym: its own name. script: Unicode script name of its letters.
    family, branch: genealogy, for analyses of transfer. spaces: whether words are separated by spaces.
    values: for each kind of VALUES, the words in the same order, in citation form.
    templates: for each relation a statement, a question with its answer, and a paraphrase of the statement. Each has
    {s} (subject) before {v} (value), each once. The value stands uninflected whatever it is.
    unknown: the answer to a question about something that nobody knows.
    syllables: native spelling of each of SYLLABLES; empty for languages in Latin script, which share one spelling.
    quotes: what an invented name in native spelling stands between, where no space shows its edges.
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
    spaces: bool = True
    syllables: dict[str, str] = field(default_factory=dict)
    quotes: tuple[str, str] = ("", "")

    def spell(self, name: str) -> str:
        """Native spelling of a fictional name given in Latin letters (consonant-vowel syllables)."""
        if not self.syllables:
            return name
        low = name.lower()
        spelled = "".join(self.syllables[low[i : i + 2]] for i in range(0, len(low), 2))
        return self.quotes[0] + spelled + self.quotes[1]

    def insert(self, template: str, subject: str) -> str:
        """The template with its subject; a Latin name in a text without spaces is set off by spaces."""
        if self.spaces or not subject.isascii():
            return template.replace("{s}", subject)
        before, after = template.split("{s}")
        left = " " if before and before[-1].isalnum() else ""
        return before + left + subject + (" " if after[0].isalnum() else "") + after

    def join(self, *sentences: str) -> str:
        """Sentences one after the other, as the language separates them."""
        return (" " if self.spaces else "").join(sentences)
