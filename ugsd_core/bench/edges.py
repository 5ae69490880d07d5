"""What computes the embedded edge: torch beside onnxruntime, bare and through the loop."""

from __future__ import annotations

from typing import Any

from ugsd_core.bench.registry import Say
from ugsd_core.bench.settings import BenchSettings

__all__ = ["measure"]


def measure(settings: BenchSettings, say: Say) -> dict[str, Any]:
    """Both back ends on the example clips; see `ugsd_core.bench.backends`.

    Raises:
        InstallationError: If onnxruntime is not installed.
    """
    from ugsd_core.acoustic import encode_waveform
    from ugsd_core.bench.backends import compare
    from ugsd_core.bench.pair import example_clips
    from ugsd_core.captioner import Captioner
    from ugsd_core.drafter import StreamDrafter

    say("loading the edge twice …")
    torch_side, onnx_side = (Captioner.load(backend=backend).drafter for backend in ("torch", "onnx"))
    assert isinstance(torch_side, StreamDrafter) and isinstance(onnx_side, StreamDrafter)
    codes = [encode_waveform(clip.samples, torch_side.features) for clip in example_clips()]
    say(f"{len(codes)} clips, {settings.rounds} rounds …")
    return compare(torch_side, onnx_side, codes, max(1, settings.rounds))
