"""The conda environments name the versions of requirements.lock and hold what MUTE needs."""

import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def read_lock(python: str) -> dict[str, str]:
    """Versions of requirements.lock that hold on Linux with this Python."""
    machine = {"python_version": python, "python_full_version": f"{python}.99", "sys_platform": "linux"}
    versions = {}
    for line in (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines():
        if line and not line.lstrip().startswith("#"):
            pin = Requirement(line)
            if pin.marker is None or pin.marker.evaluate(machine):
                versions[canonicalize_name(pin.name)] = str(pin.specifier).removeprefix("==")
    return versions


def read_env(path: Path) -> tuple[str, dict[str, str]]:
    """Python's version in a conda environment, and the versions that it takes from pip."""
    dependencies = yaml.safe_load(path.read_text(encoding="utf-8"))["dependencies"]
    python = next(d.removeprefix("python=") for d in dependencies if isinstance(d, str) and d.startswith("python="))
    pins = [Requirement(pin) for d in dependencies if isinstance(d, dict) for pin in d["pip"]]
    return python, {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}


def direct_requirements(*extras: str) -> dict[str, Requirement]:
    """What pyproject.toml asks for: at run time, and with the extras named."""
    project = PYPROJECT["project"]
    lines = [*project["dependencies"], *(line for extra in extras for line in project["optional-dependencies"][extra])]
    return {canonicalize_name(r.name): r for r in map(Requirement, lines)}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_an_environment_pins_what_the_lock_pins(path):
    python, pins = read_env(path)
    lock = read_lock(python)
    assert pins == {name: lock.get(name) for name in pins}


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_an_environment_holds_only_what_pyproject_asks_for(path):
    assert set(read_env(path)[1]) <= set(direct_requirements("workflow"))


@pytest.mark.parametrize("path", ENVS, ids=lambda path: path.name)
def test_an_environment_installs_mute(path):
    assert "--editable ." in path.with_suffix(".post-deploy.sh").read_text(encoding="utf-8")


def test_the_environment_of_the_models_holds_every_runtime_dependency():
    assert set(direct_requirements()) <= set(read_env(ROOT / "envs" / "mute.yaml")[1])


@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_the_lock_meets_every_requirement_of_pyproject(python):
    lock = read_lock(python)
    wanted = direct_requirements("workflow", "test", "lint")
    unmet = {name: lock.get(name) for name, r in wanted.items() if not r.specifier.contains(lock.get(name, "0"), True)}
    assert not unmet
