"""A verifier that has no model: it takes as long as it is told to, and agrees with everything. For timelines.

``python -m ugsd_core.bench.stand_in '{"info": …, "verify_ms": …, "prefill_ms": …}'`` serves it over the real wire.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from ugsd_core.messages import (
    GeneratedToken,
    GenerateRequest,
    Judgement,
    OpenedReply,
    OpenRequest,
    Verdict,
    VerifierInfo,
    VerifyRequest,
)

if TYPE_CHECKING:
    from ugsd_core.wire.process import VerifierProcess

__all__ = ["StandIn", "StandInUtterance", "main", "stand_in_process"]


@dataclass(frozen=True, slots=True)
class StandInUtterance:
    """One utterance: every block is accepted, ``verify_ms`` later."""

    opened: OpenedReply
    verify_ms: float

    def judge(self, request: VerifyRequest) -> Verdict:
        """Wait, then accept."""
        time.sleep(self.verify_ms / 1e3)
        judged = tuple(Judgement(1, 1.0, ((token_id, 1.0),)) for token_id in request.draft)
        return Verdict(
            request.sequence, request.revision, len(request.draft), None, None, judged, (), verify_ms=self.verify_ms
        )

    def generate(self, request: GenerateRequest) -> Iterator[GeneratedToken]:
        """It has nothing to say of its own."""
        yield from ()


@dataclass(frozen=True, slots=True)
class StandIn:
    """A verifier of another's name and fingerprints.

    Attributes:
        info: Of the edge that will connect.
        verify_ms: What a block takes.
        prefill_ms: What reading the request takes.
    """

    info: VerifierInfo
    verify_ms: float
    prefill_ms: float

    def open(self, request: OpenRequest) -> StandInUtterance:
        """Wait, then stand ready."""
        time.sleep(self.prefill_ms / 1e3)
        return StandInUtterance(OpenedReply(request.utterance, 0, self.prefill_ms), self.verify_ms)


def stand_in_process(info: VerifierInfo, verify_ms: float, prefill_ms: float) -> VerifierProcess:
    """Such a verifier in a process of its own."""
    from ugsd_core.wire.process import VerifierProcess

    spec = json.dumps({"info": asdict(info), "verify_ms": verify_ms, "prefill_ms": prefill_ms})
    return VerifierProcess([spec], command=[sys.executable, "-m", "ugsd_core.bench.stand_in"])


def main() -> int:
    """Serve until the process that started this ends."""
    from ugsd_core.wire.foreground import run_server

    spec = json.loads(sys.argv[1])
    verifier = StandIn(VerifierInfo(**spec["info"]), spec["verify_ms"], spec["prefill_ms"])
    return run_server(verifier, announce=True, exit_with_parent=True)


if __name__ == "__main__":
    sys.exit(main())
