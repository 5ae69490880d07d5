"""Two stand-ins for models whose every token follows from the tokens before it and from the speech.

So a token that is lost, doubled or out of its place shows in all that come after. They cost no time to speak of; the
edge takes a nap for each token, so that there is time for something to go wrong.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np

from tests.fakes import END, VOCABULARY, ScriptedDraft, ScriptedDrafter, ScriptedUtterance, ScriptedVerifier, ids
from ugsd_core.acoustic import AcousticCode
from ugsd_core.messages import OpenRequest, VerifierInfo

__all__ = ["INFO", "PrefixDrafter", "PrefixVerifier", "code"]

INFO = VerifierInfo("scripted", "a" * 64, "b" * 64, len(VOCABULARY))
CODES = 64


@lru_cache(maxsize=CODES)
def code(number: int) -> AcousticCode:
    """The speech of an utterance."""
    features = np.random.default_rng(number % CODES).uniform(-0.5, 1.5, (80, 50)).astype(np.float32)
    return AcousticCode.quantise(features, 4)


def _number(*parts: object) -> int:
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest(), "big")


def wanted(sha256: str, prefix: list[int]) -> int:
    """What the verifier wants next."""
    if len(prefix) >= 12 + _number(sha256) % 16:
        return ids(END)[0]
    return _number(sha256, tuple(prefix)) % (len(VOCABULARY) - 1)


@dataclass
class PrefixDraft(ScriptedDraft):
    """Drafts what the verifier wants, three times of four."""

    sha256: str = ""
    token_s: float = 0.0

    def _wanted(self) -> int:
        best = wanted(self.sha256, self.held)
        dice = _number("edge", self.sha256, tuple(self.held))
        return best if dice % 4 or best == ids(END)[0] else dice % (len(VOCABULARY) - 1)

    def next(self, revision: int, *, last: bool) -> Any:
        if self.token_s:
            time.sleep(self.token_s)
        self.unsure[len(self.held)] = _number("unsure", self.sha256, tuple(self.held)) % 200 / 100
        return super().next(revision, last=last)


@dataclass
class PrefixDrafter(ScriptedDrafter):
    """The edge.

    Attributes:
        token_s: Its nap before each token.
    """

    script: list[int] = field(default_factory=list)
    info: VerifierInfo = INFO
    token_s: float = 0.0

    def begin(self, code: AcousticCode, options: Any, utterance: str) -> PrefixDraft:
        return PrefixDraft([], {}, options, sha256=code.sha256, token_s=self.token_s)


@dataclass
class PrefixVerifier(ScriptedVerifier):
    """The verifier."""

    script: list[int] = field(default_factory=list)
    info: VerifierInfo = INFO

    def open(self, request: OpenRequest) -> PrefixUtterance:
        return PrefixUtterance(self, request)


@dataclass
class PrefixUtterance(ScriptedUtterance):
    """One utterance on it."""

    def _wanted(self, position: int) -> int:
        return wanted(self.request.code.sha256, self.held)

    def judge(self, request: Any) -> Any:
        verdict = super().judge(request)
        self.verifier.requests.clear()
        return verdict
