"""What goes wrong with a repository of the hub, in words that say what to do."""

import errno
import shutil
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mute.hub.repos import Repo
from mute.names import unknown_name

_ELSEWHERE = "HF_HOME names another folder for what is downloaded"


def is_network(error: BaseException) -> bool:
    """Whether the connection failed, not the request. The hub library's HTTP client has had several names."""
    from huggingface_hub.errors import HfHubHTTPError

    if isinstance(error, HfHubHTTPError):
        return False
    return isinstance(error, ConnectionError | TimeoutError) or any(
        cls.__module__.startswith("httpx") for cls in type(error).__mro__
    )


@contextmanager
def explained(repo: Repo) -> Generator[None]:
    """Turn what goes wrong with a repository into a ValueError that says what to do."""
    try:
        yield
    except Exception as error:
        text = _explanation(repo, error)
        if text is None:
            raise
        raise ValueError(text) from None


def _explanation(repo: Repo, error: BaseException | None) -> str | None:
    from huggingface_hub import errors

    match error:
        case errors.GatedRepoError():
            return _gated(repo)
        case errors.RepositoryNotFoundError():
            return _not_found(repo)
        case errors.RevisionNotFoundError():
            return _no_revision(repo)
        case errors.LocalEntryNotFoundError():
            # The library looks into its cache before it says what was wrong with the hub.
            return _explanation(repo, error.__cause__) or _unreachable(repo, error.__cause__)
        case errors.EntryNotFoundError():
            return f"{repo} lacks a file that is needed, config.json or one that its index names"
        case errors.HfHubHTTPError():
            return _refused(repo, error)
        case None | errors.OfflineModeIsEnabled():
            return str(missing(repo))
        case OSError(errno=errno.ENOSPC | errno.EDQUOT | errno.EACCES | errno.EPERM | errno.EROFS):
            return f"{repo} cannot be written to {_cache()}: {error.strerror}. {_ELSEWHERE}"
    return _unreachable(repo, error) if is_network(error) else None


def check_space(repo: Repo, size: int) -> None:
    """Raise ValueError if the cache's disk has fewer free bytes than `size`."""
    folder = _cache()
    place = next(path for path in (folder, *folder.parents) if path.exists())
    free = shutil.disk_usage(place).free
    if size > free:
        raise ValueError(
            f"{repo} needs {_gigabytes(size)} more, and {folder} has {_gigabytes(free)} free: make room there, "
            f"or elsewhere. {_ELSEWHERE}"
        )


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e8 else f"{size / 1e6:.1f} MB"


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE)


def _page(repo: Repo, *more: str) -> str:
    from huggingface_hub import constants

    parts = [constants.ENDPOINT, *(["datasets"] if repo.kind == "dataset" else []), repo.id, *more]
    return "/".join(parts)


def _settings() -> str:
    from huggingface_hub import constants

    return f"{constants.ENDPOINT}/settings/tokens"


def _gated(repo: Repo) -> str:
    from huggingface_hub import get_token

    ask = f"{repo} is gated: its owners give it to those who ask. Ask at {_page(repo)}, signed in"
    if get_token() is not None:
        return f"{ask}; your token is known, but its account has no access yet (or the token may not read gated ones)"
    return f"{ask}; then make a token at {_settings()} and set HF_TOKEN to it, or run `hf auth login`"


def _not_found(repo: Repo) -> str:
    from huggingface_hub import get_token

    other = "model" if repo.kind == "dataset" else "data set"
    text = f"there is no {repo.what} {repo.id!r} at {_page(repo)}: check its spelling, and that it is not a {other}"
    if get_token() is not None:
        return f"{text}. If it is private, your token may not see it"
    return f"{text}. If it is private, set HF_TOKEN to a token that may read it ({_settings()})"


def _no_revision(repo: Repo) -> str:
    hint = "a revision is a branch, a tag, or a commit with all its 40 digits"
    try:
        from huggingface_hub import HfApi

        refs = HfApi().list_repo_refs(repo.id, repo_type=repo.kind)
    except Exception:  # it was only to name them
        return f"{repo.id} has no revision {repo.revision!r}; {hint}"
    known = [ref.name for ref in (*refs.branches, *refs.tags)]
    return f"{unknown_name(f'revision of {repo.id}', repo.revision, known)} ({hint})"


def _refused(repo: Repo, error: Any) -> str:
    status = error.response.status_code
    if status == 401:
        return (
            f"the hub does not accept your token, asked for {repo}: it was mistyped, has expired or was revoked. Make "
            f"one at {_settings()}, or unset HF_TOKEN (or run `hf auth logout`): what is public needs none"
        )
    if status == 403:
        return f"the hub forbids {repo}: {error.server_message or 'no reason given'}; see {_page(repo)}"
    if status == 429:
        return f"the hub has had too many requests from you, asked for {repo}; the same command goes on later"
    return f"the hub answers {status}, asked for {repo}; if that is a passing trouble, the same command goes on later"


def _unreachable(repo: Repo, error: BaseException | None) -> str:
    from huggingface_hub import constants

    return (
        f"{repo} cannot be had: {constants.ENDPOINT} cannot be reached ({type(error).__name__}). Check the network, "
        "HTTPS_PROXY, and HF_ENDPOINT if a mirror is used. What has arrived is kept, and the same command goes on; "
        "without any network here, run `make fetch` on a machine that has it and shares HF_HOME with this one"
    )


def missing(repo: Repo) -> ValueError:
    """The error for a repository that is not there offline."""
    return ValueError(
        f"{repo} is not in {_cache()}, not whole, and this process may not use the network: run `make fetch` "
        "(with HF_HUB_OFFLINE unset, on a machine that has a network, and with the same HF_HOME)"
    )


def moved(repo: Repo, fetched: str, now: str) -> ValueError:
    """The error for a revision that is not what was fetched any more."""
    return ValueError(
        f"{repo.revision!r} of {repo.id} has moved in the cache since it was fetched, from {fetched} to {now}: run "
        f"`make fetch` to take what it is now, or keep what it was with `revision: {fetched}`"
    )
