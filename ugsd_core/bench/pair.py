"""The embedded pair, loaded once for a benchmark: the edge here, the verifier as a child process on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ugsd_core.bench.settings import BenchSettings
from ugsd_core.captioner import Captioner
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import CaptionResult, caption_result

if TYPE_CHECKING:
    from ugsd_core.audio import Utterance
    from ugsd_core.models.speech_model import SpeechModel
    from ugsd_core.wire.process import VerifierProcess

__all__ = ["MODES", "Pair", "example_clips", "four_second_clip", "loaded_pair", "modes"]

SAMPLE_RATE_HZ = 16_000


def modes() -> dict[str, DecodingOptions]:
    """Who decides: the edge, both by the default preset, plain speculative decoding, the verifier."""
    return {
        "edge": DecodingOptions(mode="edge"),
        "ugsd": preset("default"),
        "lossless": preset("lossless"),
        "cloud": DecodingOptions(mode="cloud"),
    }


#: Names of `modes`.
MODES = ("edge", "ugsd", "lossless", "cloud")


@dataclass(frozen=True, slots=True)
class Pair:
    """An edge in this process, and a verifier in another."""

    captioner: Captioner
    verifier: VerifierProcess

    @property
    def model(self) -> SpeechModel:
        """The edge's model, if torch computes it."""
        from ugsd_core.drafter import StreamDrafter
        from ugsd_core.models.speech_model import SpeechModel

        drafter = self.captioner.drafter
        assert isinstance(drafter, StreamDrafter) and isinstance(drafter.model, SpeechModel)
        return drafter.model

    def caption(self, utterance: Utterance, options: DecodingOptions) -> CaptionResult:
        """One whole caption."""
        return caption_result(self.captioner.stream(utterance, options))


@contextmanager
def loaded_pair(settings: BenchSettings, backend: str = "auto") -> Iterator[Pair]:
    """Load both sides; the verifier ends with the block.

    Args:
        backend: What computes the edge; by default what a visitor gets.
    """
    import torch

    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.process import VerifierProcess

    before = torch.get_num_threads()
    with VerifierProcess(wait=False) as verifier:
        captioner = Captioner.load(backend=backend)
        if settings.threads is not None:
            torch.set_num_threads(settings.threads)
        captioner.link = WebSocketLink(verifier.address)
        try:
            yield Pair(captioner, verifier)
        finally:
            captioner.close()
            torch.set_num_threads(before)


def example_clips() -> list[Utterance]:
    """The example clips that come with the program, by name."""
    from ugsd_core.audio import load_utterance
    from ugsd_core.places import assets_folder

    return [load_utterance(path) for path in sorted((assets_folder() / "examples").glob("*.flac"))]


def four_second_clip() -> Utterance:
    """The longest example clip cut to 4 s exactly."""
    from ugsd_core.audio import utterance_from_samples

    longest = max(example_clips(), key=lambda clip: clip.duration_s)
    return utterance_from_samples(longest.samples[: 4 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ)
