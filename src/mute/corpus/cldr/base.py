"""What a language's patterns for CLDR's facts are: three wordings a relation, and how CLDR's names stand in them."""

from dataclasses import dataclass, field

from mute.corpus.languages.base import Grammar

RELATIONS = ("currency", "language", "continent")
FORMS = 3
# Wordings, in the order that all packs keep.
STATEMENT, QUESTION, SHEET = range(FORMS)


@dataclass(frozen=True)
class Pack:
    """The patterns of one language.

    code: of CLDR's locale. name: English name. script: of its letters, by its name in Unicode; more_scripts: others.
    wordings: for each of RELATIONS a statement, a question with its answer, and the lines of a fact sheet. Each has
    {s}, the country, before {v}, the value, each once; both stand as CLDR has them, so that neither may be inflected,
    joined to an article or a suffix, or asked to agree. After the value stands `end` alone.
    spaces: whether words are separated by spaces. counted: whether currencies are named as in "1 US dollar", where the
    form for lists has capitals of its own. lower: relations whose values lose their first capital in a sentence.
    instead: names to write in the place of CLDR's, where those are made for lists, not for sentences: with bracketed
    codes, abbreviated, without the article that a sentence needs, or plainly mistaken.
    grammar: words for sentences that state no fact, of a language that no pack of the fictional world has.
    prefixes: what names may begin with beside their stem, for the comparison of stems in `mute.corpus.cldr.shared`.
    """

    code: str
    name: str
    script: str
    wordings: dict[str, tuple[str, str, str]]
    more_scripts: tuple[str, ...] = ()
    spaces: bool = True
    end: str = "."
    counted: bool = False
    lower: tuple[str, ...] = ()
    instead: dict[str, str] = field(default_factory=dict)
    prefixes: tuple[str, ...] = ()
    grammar: Grammar | None = None

    def fill(self, relation: str, form: int, subject: str) -> tuple[str, str]:
        """What stands before the value, with its subject, and what stands after it."""
        before, after = self.wordings[relation][form].split("{v}")
        return before.replace("{s}", subject), after

    def written(self, relation: str, name: str) -> str:
        """A name of CLDR as it stands in a sentence."""
        name = self.instead.get(name, name)
        if not self.spaces:
            name = name.replace(" ", "")
        return name[0].lower() + name[1:] if relation in self.lower else name
