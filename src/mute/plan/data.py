"""What is wrong with the user's own files of a study, found before anything runs, and what is worth knowing of them."""

import pandas as pd

from mute.corpus import own_answers, sound, sources
from mute.corpus.romanised import bases
from mute.corpus.schema import Corpus
from mute.names import at_home, is_folder
from mute.study.cells import Study


def problems(study: Study) -> list[str]:
    """Each with file, line and what to do; [] where the study can be run, or where nobody can tell before it runs."""
    source = sources.load(study.corpus.source)
    settings = source.Settings.model_validate(study.corpus.settings)
    folder = getattr(settings, "path", None)
    if folder is not None and not is_folder(at_home(folder)):
        return [f"corpus folder {folder!r} is not there: set `path` of the corpus to your data"]
    checked = hasattr(source, "check")
    if folder is None and not checked:
        return []
    try:
        if checked:
            found = source.check(settings, bases(study.languages), study.config.study.seed, _sets(study))
            return [str(fault) for fault in found]
        sound.check(_corpus(study), _sets(study))
    except ValueError as error:
        first, *others = str(error).splitlines()
        return [line.removeprefix("  - ") for line in others] or [first]
    return []


def _corpus(study: Study) -> Corpus:
    source = sources.load(study.corpus.source)
    settings = source.Settings.model_validate(study.corpus.settings)
    return source.build(settings, bases(study.languages), study.config.study.seed)


def read_from(study: Study) -> str:
    """The folder of the user's files, "" where the source reads none."""
    return str(study.corpus_settings.get("path") or "")


def is_checked(study: Study) -> bool:
    """Whether anything can be said of the corpus before it is made: it reads a folder, or its source checks itself."""
    return bool(read_from(study)) or hasattr(sources.load(study.corpus.source), "check")


def notes(study: Study) -> list[str]:
    """Of a corpus that can be made: how large it is, and what an oracle will know of the forget set all the same."""
    corpus = _corpus(study)
    forms = corpus.about.get("training_forms", range(corpus.about["forms"]))
    texts = corpus.texts[corpus.texts["form"].isin(list(forms))]
    found = []
    for name in _sets(study):
        role = corpus.roles(name)
        forget, kept = set(role.index[role == "forget"]), set(role.index[role != "forget"])
        read = int((role == "retain_seen").sum())
        found.append(
            f"forget set {name!r}: {len(forget)} facts to forget, {len(kept)} others, {read} of them in the retain "
            f"loss; in {len(study.languages)} languages"
        )
        found += _known_to_an_oracle(texts, forget, kept)
    if left := corpus.about.get("left_out"):
        found.append(f"{len(left)} facts are left out in every language (unusable: drop): {', '.join(left[:5])}")
    return found


def _known_to_an_oracle(texts: pd.DataFrame, forget: set[str], kept: set[str]) -> list[str]:
    """Answers to be forgotten that other facts have too, or mention."""
    found = []
    answers = texts[texts["item"].isin(forget)]
    known = set(map(own_answers.folded, texts.loc[texts["item"].isin(kept), "answer"]))
    if shared := answers.loc[answers["answer"].map(own_answers.folded).isin(known), "item"].nunique():
        found.append(
            f"{shared} of these {len(forget)} have an answer, in one language or more, that another fact has too: "
            "by that fact an oracle knows the word"
        )
    mentioned = own_answers.mentions(texts, forget, kept)
    if len(mentioned):
        count, (item, language, answer) = mentioned["item"].nunique(), mentioned.iloc[0]
        found.append(
            f"{count} facts to retain name an answer to be forgotten, such as {item!r} ({language}: {answer!r}), and "
            "an oracle reads them: if they tell it, move them into the domain to forget"
        )
    return found


def _sets(study: Study) -> list[str]:
    return sorted({cell.forget_set for cell in study.cells})
