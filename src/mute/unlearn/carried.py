"""Guards in folders of their own: saved and read, and exported with their model as a folder that needs nothing beside.

A guard's folder holds `guard.json`, its method and settings, and `fitted.safetensors`. An export with a guard holds
`model/`, an ordinary model directory, and `guard/`: who opens it as a model finds none there, so that nobody has the
model without its guard by mistake. Nothing in either is code.
"""

from __future__ import annotations

from pathlib import Path

from mute import unlearn
from mute.config.problems import validated
from mute.models import export, loading, patches, tokenizer
from mute.models.identity import of_files
from mute.models.treatment import Treatment
from mute.store import artifacts
from mute.store.records import Record
from mute.unlearn.speaking import Guarded

MODEL, GUARD, ABOUT = "model", "guard", "guard.json"


def save_guard(guard: unlearn.Guard, fitted: patches.Tensors, folder: Path | str) -> None:
    """Write a guard to a folder. Raises ValueError for a guard that was fitted to nothing."""
    if not fitted:
        raise ValueError(f"the guard {guard.name} has no tensors: it was not fitted")
    patches.save(folder, fitted, patches.FITTED)
    artifacts.write_json(Path(folder) / ABOUT, {"method": guard.name, "settings": guard.settings.model_dump()})


def load_guard(folder: Path | str) -> Treatment:
    """What stands before a model, of a guard's folder. Raises ValueError for one that cannot be read."""
    folder = Path(folder)
    about = artifacts.read_mapping(folder / ABOUT)
    name, settings = about.get("method"), about.get("settings")
    kind = unlearn.load(name) if isinstance(name, str) and name in unlearn.names() else None
    if kind is None or not issubclass(kind, unlearn.Guard) or not isinstance(settings, dict):
        raise ValueError(f"{folder / ABOUT} names no guard that is known here, but {name!r}")
    checked = validated(kind.Settings, settings)
    if checked.value is None or checked.problems:
        raise ValueError(f"settings in {folder / ABOUT}: {'; '.join(map(str, checked.problems))}")
    if not (folder / patches.FITTED).is_file():
        raise ValueError(f"there is no {patches.FITTED} in {folder}")
    try:
        return kind(checked.value).treatment(patches.load(folder, patches.FITTED))
    except Exception as error:
        # What tensors of another guard break has as many types as there are guards.
        raise ValueError(f"{folder / patches.FITTED} is not what {name} was fitted to: {error!r}") from error


def export_cell(base: Path | str, cell: Path | str, folder: Path | str, keys: Record) -> Record:
    """Export a study's cell, with its guard if it has one, over an earlier export; returns the record.

    Raises as `mute.models.export.export_cell`, and ValueError for a guard that could not run.
    """
    made = artifacts.checked(cell)
    if patches.FITTED not in made["files"]:
        return export.export_cell(base, cell, folder, keys)
    found = of_files(artifacts.checked(base)["files"])
    if made["inputs"]["model"] != found:
        raise ValueError(f"the guard in {cell} was not fitted on the model in {base}: run the study again")
    if made["outcome"]["status"] == "not_applicable":
        raise ValueError(f"the guard in {cell} could not run on its model: {made['outcome'].get('reason')}")
    guard = unlearn.make(made["plan"]["method"], made["plan"]["settings"]).guard
    assert guard is not None
    edit = patches.load(cell) if patches.PATCH in made["files"] else {}
    about = {
        "cell": keys,
        "base": {"name": Path(base).name, "files": found},
        "patch": {"cell": Path(cell).name},
        "outcome": {key: made["outcome"].get(key) for key in export.TOLD},
    }
    dtype = made.get("made_with", {}).get("dtype")
    return export_guarded(
        base, edit, guard, patches.load(cell, patches.FITTED), folder, about, dtype=dtype, replace=True
    )


def export_guarded(
    base: Path | str,
    edit: patches.Tensors,
    guard: unlearn.Guard,
    fitted: patches.Tensors,
    folder: Path | str,
    about: Record,
    *,
    dtype: str | None = None,
    replace: bool = False,
) -> Record:
    """Write the model in `base`, with an edit if there is one, and a guard to `folder`; returns the sealed record.

    dtype: of a model without an edit; None: that of its configuration. The folder appears whole or not at all.
    """
    base = Path(base)
    kept = export.type_of(edit) if edit else dtype or export.stored_type(base)
    with export.whole(Path(folder), replace) as part:
        export.write(base, edit, part / MODEL, kept)
        save_guard(guard, fitted, part / GUARD)
        finite = all(bool(tensor.isfinite().all()) for tensor in edit.values())
        artifacts.seal(part, {"producer": export.PRODUCER, **about, "dtype": kept, "finite": finite})
    return artifacts.checked(folder)


def open_guarded(folder: Path | str, *, device: str = "cpu", dtype: str | None = None) -> Guarded:
    """The guarded model of an export; of an ordinary model directory the model, which nothing guards.

    dtype: that of the export unless another is named. Raises ValueError for a folder that is neither, or was altered.
    """
    folder = Path(folder)
    exported = (folder / GUARD).is_dir()
    if exported and artifacts.sealed(folder) is None:
        raise ValueError(f"the export in {folder} is incomplete or was altered since it was written: export it again")
    where = folder / MODEL if exported else folder
    if not (where / export.CONFIG).is_file():
        raise ValueError(f"{folder} is no model and no export with a guard: it has no {export.CONFIG}")
    model = loading.load(where, device=device, dtype=dtype or export.stored_type(where))
    return Guarded(model, tokenizer.load(where), [load_guard(folder / GUARD)] if exported else [])
