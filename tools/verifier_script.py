"""Recorded requests for `tools.verifier_load`: what edges asked a verifier while they captioned clips.

Clips are captioned once with the embedded edge, in process; what it asked is kept with the decisions it got, so that
whoever repeats the requests can tell whether the same ones come back.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ugsd_core.messages import OpenRequest, Verdict, VerifyRequest
from ugsd_core.verifier import LocalLink, Verifier

__all__ = ["Block", "Recorder", "Script", "read", "record", "write"]


@dataclass(frozen=True)
class Block:
    """A verify message without the names that differ each time it is sent, and the decision it got."""

    fields: dict[str, Any]
    decision: tuple[int, int | None, int | None]


@dataclass(frozen=True)
class Script:
    """One caption: the open message without its name, the blocks in order, and the tokens that went up."""

    open: dict[str, Any]
    blocks: tuple[Block, ...]


class Recorder(LocalLink):
    """Keeps what is asked."""

    def __init__(self, verifier: Verifier) -> None:
        super().__init__(verifier)
        self.opening: OpenRequest | None = None
        self.blocks: list[Block] = []

    def open(self, request: OpenRequest) -> None:
        self.opening, self.blocks = request, []
        super().open(request)

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        verdict = super().judge(request, deadline_s)
        decision = (verdict.accepted, verdict.replacement, verdict.bonus)
        self.blocks.append(Block(_verify_fields(request), decision))
        return verdict

    def script(self) -> Script:
        """What was asked since the last opening."""
        assert self.opening is not None, "nothing was asked"
        return Script(_open_fields(self.opening), tuple(self.blocks))


def record(clips: list[Path], preset_name: str, captions: int) -> list[Script]:
    """Caption clips in turn, each time at another level of noise, until there are enough captions."""
    import numpy as np

    from ugsd_core.audio import load_utterance, utterance_from_samples
    from ugsd_core.captioner import Captioner
    from ugsd_core.options import preset
    from ugsd_core.verifier import TorchVerifier

    recorder = Recorder(TorchVerifier.load())
    captioner = Captioner.load(link=recorder)
    random = np.random.default_rng(0)
    scripts: list[Script] = []
    for number in range(captions):
        heard = load_utterance(clips[number % len(clips)])
        if number >= len(clips):
            noise = random.standard_normal(heard.samples.size).astype(np.float32) * np.float32(0.002 * number)
            heard = utterance_from_samples(np.clip(heard.samples + noise, -1, 1), 16_000)
        for _ in captioner.stream(heard, preset(preset_name)):
            pass
        if recorder.blocks:
            scripts.append(recorder.script())
    return scripts


def write(path: Path, scripts: list[Script]) -> None:
    """Keep scripts for another process of this program."""
    path.write_bytes(pickle.dumps(scripts))


def read(path: Path) -> list[Script]:
    """Scripts that `write` kept."""
    found: list[Script] = pickle.loads(path.read_bytes())
    return found


def _flat(record: Any, without: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
    for entry in fields(record):
        if entry.name not in without:
            yield entry.name, getattr(record, entry.name)


def _open_fields(request: OpenRequest) -> dict[str, Any]:
    code = dict(_flat(request.code, ()))
    return {"type": "open", **dict(_flat(request, ("utterance", "code"))), "sha256": request.code.sha256, "code": code}


def _verify_fields(request: VerifyRequest) -> dict[str, Any]:
    values = {"type": "verify", **dict(_flat(request, ("utterance", "sequence", "revision", "posterior")))}
    return values if request.posterior is None else values | {"posterior": bytes(request.posterior)}
