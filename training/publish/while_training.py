"""`push_to_hub=True`: what `reel publish model` does, at each save of a run, while training goes on."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from transformers.trainer_utils import HubStrategy

from data_prep.building.card import CARD_TAG
from data_prep.errors import UserError
from data_prep.publish.hub import check_repo_id, claim_repository
from training.publish.folder import Published, publish_model

if TYPE_CHECKING:
    from training.trainer import RatingTrainingArguments


def check_push_arguments(args: RatingTrainingArguments) -> None:
    """
    Raises:
        ValueError: when the arguments ask for a push of another kind than there is.
    """
    if args.hub_model_id is None:
        raise ValueError("push_to_hub needs hub_model_id, as in user/name")
    try:
        check_repo_id(args.hub_model_id)
    except UserError as error:
        raise ValueError(str(error)) from error
    if HubStrategy(args.hub_strategy) not in (HubStrategy.END, HubStrategy.EVERY_SAVE):
        raise ValueError(
            f"hub_strategy is end or every_save, got {args.hub_strategy}: checkpoints hold the optimizer's state, and "
            "stay here"
        )
    if args.hub_revision is not None:
        raise ValueError(f"hub_revision {args.hub_revision!r}: models are pushed to main; leave it out")


class HubPushes:
    """
    The pushes of one run, one at a time in the background. One that fails is told of and does not end the training;
    only the last one has to arrive.

    Args:
        args (`RatingTrainingArguments`): `hub_model_id`, `hub_token`, `hub_private_repo`, `hub_strategy` and
            `hub_always_push` are obeyed.

    Raises:
        UserError: when the repository cannot be made, or is not ours.
    """

    def __init__(self, args: RatingTrainingArguments):
        assert args.hub_model_id is not None
        self.repo_id: str = args.hub_model_id
        self.token: str | None = args.hub_token
        self.private = bool(args.hub_private_repo)
        self.always = args.hub_always_push
        self.every_save = HubStrategy(args.hub_strategy) is not HubStrategy.END
        claim_repository(self.repo_id, kind="model", tag=CARD_TAG, private=self.private, token=self.token)
        self._sender = ThreadPoolExecutor(max_workers=1)
        self._last: Future[None] | None = None

    @property
    def wanted(self) -> bool:
        """Whether a save in the middle of the run is to be pushed now: not while the one before is on its way, unless
        `hub_always_push` says so."""
        return self.every_save and (self.always or self._last is None or self._last.done())

    def push(self, write: Callable[[Path], None], message: str) -> None:
        """
        Send what `write` puts into a folder that it is given.

        Args:
            write: writes the model's folder; it has returned when this has.
            message (`str`): of the commit.
        """
        place = Path(tempfile.mkdtemp())
        try:
            write(place / "model")
        except BaseException:
            shutil.rmtree(place, ignore_errors=True)
            raise
        self._last = self._sender.submit(self._send, place, message)

    def _send(self, place: Path, message: str) -> None:
        try:
            self._publish(place / "model", message)
        except UserError as error:
            print(f"warning: {error}; training goes on", file=sys.stderr)
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def finish(self) -> None:
        """Wait for the push that is on its way."""
        if self._last is not None:
            self._last.result()

    def push_last(self, folder: Path) -> Published:
        """
        Send the trained model's folder.

        Raises:
            UserError: when it does not arrive; the folder is there still.
        """
        self.finish()
        try:
            return self._publish(folder, "End of training")
        except UserError as error:
            raise UserError(
                f"{error}; the model is in {folder}: `reel publish model {folder} {self.repo_id}` sends it"
            ) from error

    def _publish(self, folder: Path, message: str) -> Published:
        return publish_model(folder, self.repo_id, private=self.private, message=message, token=self.token)
