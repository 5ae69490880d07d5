"""What is particular to a model family, behind one small adapter each.

A family knows its transformers class, its audio markers and how many placeholders a clip takes. Everything else
(prompts, caches, positions, judging) is the same code for all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ugsd_core.errors import CheckpointError
from ugsd_core.models.prompts import AudioMarkers

__all__ = ["FAMILIES", "Family", "family_of"]


@dataclass(frozen=True, slots=True)
class Family:
    """One family of thinker models.

    Attributes:
        name: Short name, as in ``ugsd.json``.
        model_types: ``model_type`` values of ``config.json`` that belong to it, whole model or thinker alone.
        class_name: The transformers class of the thinker.
        markers: Special tokens around the audio.
        n_audio: Audio placeholders for a number of mel frames, given the tower's config.
        from_pretrained: Extra arguments for loading.
    """

    name: str
    model_types: frozenset[str]
    class_name: str
    markers: AudioMarkers
    n_audio: Callable[[int, Any], int]
    from_pretrained: tuple[tuple[str, Any], ...] = ()

    def model_class(self) -> Any:
        """The transformers class, imported on demand."""
        import transformers

        return getattr(transformers, self.class_name)


def _halved_twice(n_frames: int, _config: Any) -> int:
    """Qwen2.5-Omni: a stride-2 convolution, then pairs of frames are averaged; a last odd frame is dropped."""
    after_convolution = (n_frames - 1) // 2 + 1
    return (after_convolution - 2) // 2 + 1


def _halved_thrice_in_chunks(n_frames: int, config: Any) -> int:
    """Qwen3-Omni: three stride-2 convolutions over chunks of 2 · n_window frames, padded to whole chunks' outputs."""

    def halved(frames: int) -> int:
        for _ in range(3):
            frames = (frames - 1) // 2 + 1
        return frames

    chunk = 2 * int(config.n_window)
    rest = n_frames % chunk
    return (n_frames // chunk) * halved(chunk) + (halved(rest) if rest else 0)


FAMILIES: dict[str, Family] = {
    "qwen2_5_omni": Family(
        name="qwen2_5_omni",
        model_types=frozenset({"qwen2_5_omni", "qwen2_5_omni_thinker"}),
        class_name="Qwen2_5OmniThinkerForConditionalGeneration",
        markers=AudioMarkers("<|audio_bos|>", "<|AUDIO|>", "<|audio_eos|>"),
        n_audio=_halved_twice,
    ),
    "qwen3_omni_moe": Family(
        name="qwen3_omni_moe",
        model_types=frozenset({"qwen3_omni_moe", "qwen3_omni_moe_thinker"}),
        class_name="Qwen3OmniMoeThinkerForConditionalGeneration",
        markers=AudioMarkers("<|audio_start|>", "<|audio_pad|>", "<|audio_end|>"),
        n_audio=_halved_thrice_in_chunks,
        # The eager per-expert loop is very slow; the grouped matrix product is the same sum.
        from_pretrained=(("experts_implementation", "grouped_mm"),),
    ),
}


def family_of(model_type: str) -> Family:
    """The family of a ``config.json``'s ``model_type``.

    Raises:
        CheckpointError: If no family knows it.
    """
    for family in FAMILIES.values():
        if model_type in family.model_types:
            return family
    known = ", ".join(sorted(name for family in FAMILIES.values() for name in family.model_types))
    raise CheckpointError(f"a checkpoint of type {model_type!r} cannot be used here; known types are {known}")
