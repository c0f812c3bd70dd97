"""What a result depends on by content: a model's weights and tokenizer, and the corpus."""

from pathlib import Path

from mute.store import artifacts
from mute.store.records import Record


def identity(model: Path, corpus: Path) -> Record:
    """What a result depends on by content: weights and tokenizer of a model's folder, and the corpus's folder."""
    files = artifacts.checked(model)["files"]
    own = {name: files[name]["sha256"] for name in sorted(files) if name.endswith((".safetensors", "tokenizer.json"))}
    read = [path for path in sorted(corpus.iterdir()) if path.is_file() and path.name[0] != "."]
    texts = {path.name: artifacts.sha256(path) for path in read}
    return {"model": own, "corpus": texts}
