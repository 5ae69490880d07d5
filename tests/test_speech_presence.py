"""Voices are speech at any level; noise and tones are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ugsd_core.audio import load_utterance
from ugsd_core.speech_presence import speech_s, speech_warning

EXAMPLES = sorted((Path(__file__).parents[1] / "assets" / "examples").glob("*.flac"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_every_example_is_speech_at_any_level(path: Path) -> None:
    samples = load_utterance(path).samples
    heard = speech_s(samples)
    assert heard > 0.3
    assert speech_s(samples * np.float32(0.01)) == pytest.approx(heard, abs=0.1)
    assert speech_warning(samples) is None


@pytest.mark.parametrize("name", ["noise", "tone", "clicks"])
def test_what_is_no_speech_is_said_to_be_none(name: str) -> None:
    time = np.arange(3 * 16_000) / 16_000
    sounds = {
        "noise": np.random.default_rng(0).standard_normal(time.size) * 0.1,
        "tone": np.sin(2 * np.pi * 440 * time),
        "clicks": (np.arange(time.size) % 8_000 == 0) * 0.9,
    }
    assert "No speech" in str(speech_warning(sounds[name].astype(np.float32)))
