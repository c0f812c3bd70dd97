"""What a result depends on by content: a model's weights, tokenizer and known facts, and the corpus."""

from pathlib import Path

from mute.corpus.known import FILE, GUESSES
from mute.store import artifacts
from mute.store.records import Record


def of_files(files: Record) -> dict[str, str]:
    """Digests of weights, tokenizer and known facts among the files of a model's record: what its patches depend on."""
    read = (".safetensors", "tokenizer.json", FILE, GUESSES)
    return {n: files[n]["sha256"] for n in sorted(files) if n.endswith(read)}


def identity(model: Path, corpus: Path) -> Record:
    """What a result depends on by content: weights and tokenizer of a model's folder, and the corpus's folder."""
    read = [path for path in sorted(corpus.iterdir()) if path.is_file() and path.name[0] != "."]
    texts = {path.name: artifacts.sha256(path) for path in read}
    return {"model": of_files(artifacts.checked(model)["files"]), "corpus": texts}
