"""The Hugging Face Hub, as far as publishing goes: one commit of files, and its refusals as one clear line."""

from __future__ import annotations

import logging
import re
import sys
import tempfile
import textwrap
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data_prep.errors import UserError

_ADVICE = {
    401: "log in with `hf auth login` or set HF_TOKEN to a token that may write",
    403: "use an account, or a token (HF_TOKEN, `hf auth login`), that may write there",
    404: "check its name, and that your token may see it",
    409: "somebody else is changing it; wait a moment",
    412: "somebody else has just changed it",
}


def claim_repository(
    repo_id: str, *, kind: str, tag: str, private: bool = False, token: str | None = None
) -> tuple[str, Any]:
    """Make sure that a repository can be published to; it is made when there is none.

    Args:
        repo_id: `user/name`.
        kind: dataset, model or space.
        tag: the tag by which our repositories are known. One that holds anything and lacks it is left alone.
        private: make the repository private.
        token: of the account; the one that is logged in when None.

    Returns:
        Its address, and what the Hub says of it (`huggingface_hub.ModelInfo` and its like).

    Raises:
        UserError: for everything that the Hub refuses, or the network.
    """
    check_repo_id(repo_id)
    with hub_errors(repo_id, token):
        from huggingface_hub import HfApi

        api = HfApi(token=token)
        space: dict[str, Any] = {"space_sdk": "gradio"} if kind == "space" else {}
        url = api.create_repo(repo_id, repo_type=kind, private=private or None, exist_ok=True, **space)
        info: Any = api.repo_info(repo_id, repo_type=kind)
        tags = info.card_data.get("tags", ()) if info.card_data else ()
        if _present(info) and tag not in tags:
            raise UserError(
                f"{repo_id}: this {kind} on the Hub was not published by reel, so it is left as it is; name another"
            )
        if private and not info.private:
            raise UserError(
                f"{repo_id}: this {kind} exists and is public; make it private in its settings, or name another"
            )
    return str(url), info


def push_files(
    repo_id: str,
    files: Mapping[str, Path | bytes],
    *,
    kind: str,
    folders: Collection[str],
    message: str,
    tag: str,
    private: bool = False,
    version: str | None = None,
    token: str | None = None,
) -> tuple[str, str]:
    """Bring `files` into a repository, in one commit; it is made first when there is none.

    Files that it holds already are not sent again, also when an earlier attempt broke off: repeating the command
    resumes it.

    Args:
        repo_id, kind, tag, private, token: as for `claim_repository`.
        files: path in the repository -> local file or content; one is README.md with `tag` among its `tags`.
        folders: top folders of the repository that are ours: what else they hold is deleted.
        message: of the commit.
        version: a git tag that the commit gets, by which it can be asked for.

    Returns:
        The repository's address and the sha of the commit.

    Raises:
        UserError: for everything that the Hub refuses, or the network.
    """
    url, info = claim_repository(repo_id, kind=kind, tag=tag, private=private, token=token)
    with hub_errors(repo_id, token):
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

        api = HfApi(token=token)
        stale = {path for path in _present(info) - set(files) if path.split("/")[0] in folders}
        commit = api.create_commit(
            repo_id,
            [
                *(CommitOperationDelete(path) for path in sorted(stale)),
                *(CommitOperationAdd(path, content) for path, content in files.items()),
            ],
            repo_type=kind,
            commit_message=message,
            parent_commit=info.sha,
        )
        if version is not None:
            api.create_tag(repo_id, tag=version, revision=commit.oid, repo_type=kind, exist_ok=True)
    return url, commit.oid


def _present(info: Any) -> set[str]:
    """The files of a repository, but for the one that the Hub itself puts there."""
    return {sibling.rfilename for sibling in info.siblings or ()} - {".gitattributes"}


def check_no_place(text: str, name: str, folder: Path, remedy: str) -> None:
    """Make sure that a text which is to be published names no place on this machine.

    Args:
        text: what is to be published.
        name: its name, for the message.
        folder: what it was made from.
        remedy: what the person can do about it.

    Raises:
        UserError: it names `folder`, the user's home or the folder of temporary files.
    """
    for place in (folder.resolve(), Path.home(), Path(tempfile.gettempdir()).resolve()):
        if len(place.parts) > 1 and re.search(re.escape(str(place)) + r"(?![\w-])", text):
            raise UserError(f"{name}: names a place on this machine ({place}); {remedy}")


def check_repo_id(repo_id: str) -> None:
    """Raise `UserError` unless `repo_id` is `user/name` as the Hub allows them."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UserError(f"{repo_id!r} is no name for a repository on the Hub: {error}") from error
    if "/" not in repo_id:
        raise UserError(f"{repo_id!r}: say whose it is, as in user/{repo_id}")


@contextmanager
def hub_errors(repo_id: str, token: str | None = None) -> Iterator[None]:
    """Turn what the Hub's client raises into a `UserError` that names the repository and says what to do, and keep the
    client off the terminal."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

    try:
        with _quiet_client():
            yield
    except OfflineModeIsEnabled as error:
        raise UserError(f"{repo_id}: HF_HUB_OFFLINE is set; unset it to reach the Hub") from error
    except (HTTPError, OSError, RuntimeError, ValueError, KeyError, TypeError) as error:
        reason: BaseException = error  # the client hangs the reason on errors of its own
        while reason.__cause__ is not None and not isinstance(reason, (HTTPError, OSError)):
            reason = reason.__cause__
        if isinstance(reason, HfHubHTTPError):
            status = reason.response.status_code
            said = f"the Hub answered {status} ({reason.server_message or reason.response.reason_phrase})"
            advice = _ADVICE.get(status, "that is the Hub's fault: wait a while" if status >= 500 else "mend that")
        elif isinstance(reason, (HTTPError, OSError)):
            said, advice = f"the Hub cannot be reached ({reason})", "look after the network"
        else:
            said, advice = f"the Hub did not take it ({error})", "mend that"
        said = textwrap.shorten(_without_token(said, token), 400, placeholder=" ...")
        raise UserError(f"{repo_id}: {said}; {advice}, then repeat the command (what was sent is not lost)") from None


def _without_token(text: str, token: str | None) -> str:
    """`text` without what a server or a library may have quoted of the token."""
    from huggingface_hub import get_token

    text = re.sub(r"Bearer .*", "Bearer ***", text, flags=re.S)
    for secret in filter(None, (token, get_token())):
        text = text.replace(secret, "***")
    return text


@contextmanager
def _quiet_client() -> Iterator[None]:
    """Keep the client from logging every failed attempt, and from drawing bars that nobody watches."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    logger = logging.getLogger("huggingface_hub")
    level, shown = logger.level, not are_progress_bars_disabled()
    logger.setLevel(logging.CRITICAL)
    if not sys.stderr.isatty():
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            # The client wonders at Parquet files in a model's repository: they are its film catalogue.
            warnings.filterwarnings("ignore", message=".*you are about to commit a data file", category=UserWarning)
            yield
    finally:
        logger.setLevel(level)
        if shown:
            enable_progress_bars()
