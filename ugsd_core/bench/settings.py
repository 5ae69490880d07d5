"""What is asked of a run of benchmarks."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from ugsd_core.errors import OptionError

__all__ = ["PRECISIONS", "SIZES", "BenchSettings"]

#: Precisions in which a model of a real size is measured.
PRECISIONS = ("fp32", "bf16", "int8", "int4", "llama-int4", "llama-int8")
#: Shapes with random weights; ``tiny`` is for trying the command itself.
SIZES = ("3b", "30b-a3b", "tiny")


@dataclass(frozen=True, slots=True, kw_only=True)
class BenchSettings:
    """Settings of one run.

    Attributes:
        rounds: Repetitions of each comparison; one more, not counted, goes before them.
        threads: Threads of the edge; None as the program chooses them.
        rtts_ms: Round trips of the emulated links.
        size: Shape of a model with random weights, for ``real_size``; None leaves it out.
        precisions: Of that model.
        device: Where that model runs.
        layers: Fewer decoder layers than the shape has, to try things out; the results say so. None takes all.
        tokens: Caption tokens decoded in each turn.
        block_lengths: Of the blocks whose verification is timed.
        timeline_rho: Share of the draft that is sent in the timeline of a real size; None leaves it out.
        verify_ms: What the stand-in verifier of that timeline takes for a block; None takes the edge's own time.

    Raises:
        OptionError: If a value has no meaning.
    """

    rounds: int = 10
    threads: int | None = None
    rtts_ms: tuple[float, ...] = (0.0, 50.0, 100.0)
    size: str | None = None
    precisions: tuple[str, ...] = PRECISIONS
    device: str = "cpu"
    layers: int | None = None
    tokens: int = 8
    block_lengths: tuple[int, ...] = (4, 8, 16)
    timeline_rho: float | None = None
    verify_ms: float | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.rounds < 1:
            raise OptionError(f"at least one round is needed, not {self.rounds}")
        if self.threads is not None and self.threads < 1:
            raise OptionError(f"at least one thread is needed, not {self.threads}")
        if self.layers is not None and self.layers < 1:
            raise OptionError(f"at least one layer is needed, not {self.layers}")
        if self.tokens < 2:
            raise OptionError(f"at least two tokens are decoded, not {self.tokens}")
        if self.size is not None and self.size not in SIZES:
            raise OptionError(f"there is no size {self.size!r}; choose one of {', '.join(SIZES)}")
        for precision in self.precisions:
            if precision not in PRECISIONS:
                raise OptionError(f"there is no precision {precision!r}; choose from {', '.join(PRECISIONS)}")
        if self.timeline_rho is not None and not 0.0 < self.timeline_rho <= 1.0:
            raise OptionError(
                f"the share of the draft that is sent is above 0 and at most 1, not {self.timeline_rho:g}"
            )
        if any(not 0.0 <= rtt <= 60_000.0 for rtt in self.rtts_ms):
            raise OptionError("a round trip takes 0 to 60000 ms")

    def to_dict(self) -> dict[str, Any]:
        """As it is written beside the results."""
        return asdict(self)
