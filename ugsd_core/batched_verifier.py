"""A `TorchVerifier` that judges blocks of many utterances, and writes tokens of many captions, in one forward pass."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Protocol, cast

from ugsd_core.errors import CheckpointError, OptionError, ProtocolError
from ugsd_core.messages import GeneratedToken, GenerateRequest, OpenRequest, Verdict, VerifyRequest
from ugsd_core.models.prompts import Language
from ugsd_core.verifier import TorchVerifier, TorchVerifierUtterance, Verifier, VerifierUtterance

if TYPE_CHECKING:
    from ugsd_core.models.batched_stream import BatchedStream, Feed
    from ugsd_core.models.caption_stream import CaptionStream, Logits
    from ugsd_core.models.speech_model import SpeechModel

__all__ = [
    "BatchedUtterance",
    "BatchedVerifier",
    "BatchingVerifier",
    "JudgeTask",
    "Outcome",
    "StepTask",
    "Task",
    "Written",
    "load_verifier",
]

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class JudgeTask:
    """Judge a block of an utterance; gives a `Verdict`."""

    utterance: VerifierUtterance
    request: VerifyRequest

    @property
    def tokens(self) -> int:
        """Ids that go through the model."""
        return len(self.request.committed) + len(self.request.draft)


@dataclass(frozen=True, slots=True)
class StepTask:
    """Write the next token of a caption; gives a `Written`. Position 0 begins it."""

    utterance: VerifierUtterance
    request: GenerateRequest
    position: int

    @property
    def tokens(self) -> int:
        """Ids that go through the model."""
        return 1


@dataclass(frozen=True, slots=True)
class Written:
    """A token of a caption that the verifier writes alone.

    Attributes:
        last: It ends the caption.
    """

    token: GeneratedToken
    last: bool


Task = JudgeTask | StepTask
#: An exception stands for a task that failed; the others are not touched by it.
Outcome = Verdict | Written | Exception


class BatchingVerifier(Verifier, Protocol):
    """A verifier that can do many small pieces of work in one forward pass."""

    def work_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """Do tasks, at most one of each utterance; their ``verify_ms`` is the time of the whole pass.

        Results equal those of `VerifierUtterance.judge` and `VerifierUtterance.generate`.
        """


class BatchedVerifier(TorchVerifier):
    """A `SpeechModel` that judges many utterances in one pass; see `ugsd_core.models.packed`.

    Raises:
        OptionError: If passes of this model cannot be shared.
    """

    def __init__(self, model: SpeechModel) -> None:
        from ugsd_core.models.packed import can_pack, enable_packing

        super().__init__(model)
        if not can_pack(model.model):
            raise OptionError(
                f"{model.name} cannot judge several recordings in one pass (it is spread over devices, or forgets what "
                "lies far back); use TorchVerifier, which judges each alone."
            )
        enable_packing(model.model)

    def open(self, request: OpenRequest) -> BatchedUtterance:
        """See `TorchVerifier.open`."""
        try:
            return BatchedUtterance(self.model, request)
        except (OptionError, CheckpointError) as error:
            raise ProtocolError(str(error), "bad_open") from error

    def _judge_first(self, held: TorchVerifierUtterance, request: VerifyRequest) -> None:
        """See `TorchVerifier.warm_up`."""
        (outcome,) = self.work_together([JudgeTask(held, request)])
        if isinstance(outcome, Exception):
            raise outcome

    def work_together(self, tasks: Sequence[Task]) -> list[Outcome]:
        """See `BatchingVerifier.work_together`. If the shared pass fails, each task is done alone."""
        outcomes = self._pass(tasks)
        if len(tasks) > 1 and any(isinstance(entry, _PassFailed) for entry in outcomes):
            outcomes = [self._pass([task])[0] for task in tasks]
        return [entry.cause if isinstance(entry, _PassFailed) else entry for entry in outcomes]

    def _pass(self, tasks: Sequence[Task]) -> list[Outcome]:
        from ugsd_core.models.batched_stream import feed_together

        began = perf_counter()
        outcomes: dict[int, Outcome] = {}
        feeds: dict[int, Feed] = {}
        for index, task in enumerate(tasks):
            try:
                feeds[index] = cast(BatchedUtterance, task.utterance).feed_for(task)
            except Exception as error:
                outcomes[index] = error
        try:
            rows = feed_together(list(feeds.values())) if feeds else []
        except Exception as error:
            return [outcomes.get(index, _PassFailed(error)) for index in range(len(tasks))]
        for index, logits in zip(feeds, rows, strict=True):
            try:
                outcomes[index] = cast(BatchedUtterance, tasks[index].utterance).outcome_of(tasks[index], logits)
            except Exception as error:
                outcomes[index] = error
        verify_ms = (perf_counter() - began) * 1e3
        return [_timed(outcomes[index], verify_ms) for index in range(len(tasks))]


def load_verifier(
    checkpoint: str | Path | None = None, *, device: str = "cpu", dtype: str = "float32", batched: bool = True
) -> TorchVerifier:
    """Load a checkpoint (None: the embedded verifier) as a `BatchedVerifier`, if it can be one.

    Args:
        batched: False for a `TorchVerifier` in any case.

    Raises:
        CheckpointError, OptionError: As `TorchVerifier.load`.
    """
    from ugsd_core.models.packed import can_pack

    alone = TorchVerifier.load(checkpoint, device=device, dtype=dtype)
    if batched and can_pack(alone.model.model):
        return BatchedVerifier(alone.model)
    if batched:
        logger.warning(
            "%s is spread over devices or forgets what lies far back: blocks share no passes.", alone.info.name
        )
    return alone


class BatchedUtterance(TorchVerifierUtterance):
    """One utterance whose forward passes can be shared."""

    _stream: BatchedStream

    def _open_stream(self) -> CaptionStream:
        from ugsd_core.models.batched_stream import BatchedStream

        request = self._request
        return BatchedStream(self._model, request.code, request.prompt, cast(Language, request.language))

    def feed_for(self, task: Task) -> Feed:
        """What the pass has to bring to this utterance.

        Raises:
            ProtocolError: As `TorchVerifierUtterance.judge`.
        """
        from ugsd_core.models.batched_stream import Feed

        if isinstance(task, JudgeTask):
            return Feed(self._stream, self._prepare(task.request), len(task.request.draft) + 1)
        if task.position == 0:
            self._stream.truncate(0)
            return Feed(self._stream, (), 1)
        return Feed(self._stream, self._written, 1)

    def outcome_of(self, task: Task, rows: Logits) -> Verdict | Written:
        """What follows from the pass's logits."""
        if isinstance(task, JudgeTask):
            return self._conclude(task.request, rows)
        token = self._write(task.request, task.position, rows[0])
        last = token.token_id in self._model.end_ids or task.position + 1 >= task.request.max_tokens
        return Written(token, last)


class _PassFailed(Exception):
    """The shared pass failed, and not for a reason of the task's own."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _timed(outcome: Outcome, verify_ms: float) -> Outcome:
    if isinstance(outcome, Verdict):
        return replace(outcome, verify_ms=verify_ms)
    if isinstance(outcome, Written):
        return replace(outcome, token=replace(outcome.token, verify_ms=verify_ms))
    return outcome
