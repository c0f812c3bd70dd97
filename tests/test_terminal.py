"""The terminal: quick to start, completed by shells, and complete itself."""

import subprocess
import sys

import pytest

from mute import __main__ as command
from mute import unlearn
from mute.hub import weights
from mute.plan.kinds import KINDS

SLOW = ("torch", "transformers", "pandas", "numpy", "pydantic", "yaml", "shtab", "mute.api")


@pytest.mark.parametrize(
    "code",
    [
        "import mute",
        "from mute import __main__; __main__.parser()",
        "import contextlib, io\nfrom mute import __main__\n"
        "with contextlib.redirect_stdout(io.StringIO()): __main__.main(['weights'])",
    ],
)
def test_what_starts_quickly_imports_nothing_slow(code):
    """Modules, not seconds: these are measured in benchmarks/starting.py."""
    code = f"import sys\n{code}\nprint(sorted({set(SLOW[:3])} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_importing_mute_imports_next_to_nothing():
    code = f"import sys, mute; print(sorted(set({SLOW}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("shell", command.SHELLS)
def test_shells_complete_commands_and_options(shell, capsys):
    assert command.main(["completion", shell]) == 0
    said = capsys.readouterr().out
    for word in ("forget", "check-data", "dry-run"):
        assert word in said, word


def test_bash_completes_names_and_files(tmp_path, capsys):
    command.main(["completion", "bash"])
    script = tmp_path / "mute.bash"
    script.write_text(capsys.readouterr().out)

    def completed(*words: str) -> list[str]:
        line = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _shtab_mute; echo ${{COMPREPLY[@]}}"
        done = subprocess.run(["bash", "-c", f"source {script}; {line}"], capture_output=True, text=True, cwd=tmp_path)
        return done.stdout.split()

    assert "forget" in completed("mute", "for")
    assert completed("mute", "forget", "--algorithm", "rm") == ["rmu"]
    assert set(completed("mute", "forget", "--algorithm", "''")) >= {"npo", "slug"}
    assert completed("mute", "list", "meth") == ["method"]
    assert set(unlearn.names()) <= set(completed("mute", "forget", "--algorithm", "''"))
    assert set(completed("mute", "list", "--kind", "''")) == set(KINDS)
    assert set(completed("mute", "weights", "''")) >= set(weights.KNOWN)


def test_a_shell_that_is_none_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["completion", "basch"])
    assert "'bash'" in capsys.readouterr().err


def test_a_kind_is_named_either_way(capsys):
    assert command.main(["list", "--kind", "weights"]) == 0
    said = capsys.readouterr().out
    assert command.main(["list", "weights"]) == 0
    assert capsys.readouterr().out == said
    assert all(name in said for name in weights.KNOWN)
    assert command.main(["list", "attack", "--kind", "method"]) == 1
    assert command.main(["list", "--kind", "metod"]) == 1
    assert "Did you mean 'method'" in capsys.readouterr().err
