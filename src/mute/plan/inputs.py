"""What a study needs from outside: the models and data sets that are fetched before anything runs. Imports no torch."""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

from mute.corpus import sources
from mute.hub import copies
from mute.hub.repos import Repo, record_of
from mute.names import unknown_name
from mute.plan import exports
from mute.study.cells import Study


class Inputs:
    """Inputs and parameters of the rule that fetches, and what other rules wait for."""

    def __init__(self, study: Study) -> None:
        self.study = study

    @cached_property
    def repos(self) -> dict[str, Repo]:
        """Repositories by the name of their record. Raises ValueError for one that cannot be."""
        return {repo.name: repo for repo in (*self._models(), *self._data(), *exports.repos(self.study))}

    def _models(self) -> Iterator[Repo]:
        for name in self.study.models:
            repo = model_repo(self.study.config.models[name])
            if repo is not None:
                yield repo

    def _data(self) -> list[Repo]:
        source = sources.load(self.study.corpus.source)
        if not hasattr(source, "repos"):
            return []
        settings = source.Settings.model_validate(self.study.corpus_settings)
        return source.repos(settings, self.study.languages)

    def records(self) -> list[str]:
        """Records of all that the study needs."""
        return [record_of(repo) for repo in self.repos.values()]

    def of_corpus(self) -> list[str]:
        """Records of what the corpus is made from."""
        return sorted(record_of(repo) for repo in self._data())

    def _repo(self, wildcards: Any) -> Repo:
        if wildcards.repo not in self.repos:
            raise ValueError(unknown_name("repository", wildcards.repo, self.repos))
        return self.repos[wildcards.repo]

    def local_files(self, wildcards: Any) -> list[str]:
        """Files of a local directory, so that a change is seen. What is missing is the job's error to explain."""
        repo = self._repo(wildcards)
        try:
            return [str(path) for path in copies.files(repo)] if repo.folder else []
        except ValueError:
            return []

    def plan(self, wildcards: Any) -> dict[str, Any]:
        """What is fetched for one record."""
        repo = self._repo(wildcards)
        return {"kind": repo.kind, "id": repo.id, "revision": repo.revision, "patterns": list(repo.patterns)}


def model_repo(model: Any) -> Repo | None:
    """Where a model of the configuration comes from; None for one that is trained from scratch."""
    pretrained = getattr(model, "pretrained", None)
    return Repo("model", pretrained, getattr(model, "revision", "main")) if pretrained else None
