"""Cues are measured: tones have their pitch, gaps are pauses, and only the extreme is named."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ugsd_core.training.cues import MAX_NAMED, Cues, fit_thresholds, measure, named_cues, supports, syllables

RATE = 16_000


@lru_cache(maxsize=1)
def tracker() -> Any:
    swift_f0 = pytest.importorskip("swift_f0")
    return swift_f0.SwiftF0(threads=1)


def voice(hertz: float, seconds: float = 1.0, harmonics: int = 12) -> NDArray[np.float32]:
    """A tone with falling harmonics, as a voice has them."""
    time = np.arange(int(seconds * RATE)) / RATE
    wave = sum(np.sin(2 * np.pi * hertz * k * time) / k for k in range(1, harmonics + 1))
    return (0.1 * wave).astype(np.float32)


def test_a_200_hz_tone_has_pitch_200_and_no_range() -> None:
    cues = measure(voice(200.0), "", tracker())
    assert 55 * 2 ** (cues.pitch / 12) == pytest.approx(200.0, rel=0.02)
    assert cues.pitch_range < 0.5
    assert np.isnan(cues.rate)


def test_the_level_of_the_recording_changes_no_cue() -> None:
    loud, quiet = (measure(voice(150.0) * np.float32(gain), "", tracker()) for gain in (1.0, 0.001))
    assert quiet.pitch == pytest.approx(loud.pitch, abs=0.05)
    assert quiet.brightness == pytest.approx(loud.brightness, abs=0.1)


def test_silence_inside_is_a_pause_and_silence_around_is_not() -> None:
    silence = np.zeros(RATE // 2, dtype=np.float32)
    sound = voice(180.0, 0.75)
    flat = SimpleNamespace(detect=lambda *_, **__: SimpleNamespace(pitch_hz=np.array([]), confidence=np.array([])))
    inside = measure(np.concatenate([sound, silence, sound]), "a na na", flat)
    around = measure(np.concatenate([silence, sound, sound, silence]), "a na na", flat)
    assert inside.pauses == pytest.approx(0.25, abs=0.03)
    assert around.pauses == 0.0
    assert inside.rate == pytest.approx(2.0, rel=0.1)  # three vowel groups in 1.5 s of sound
    assert np.isnan(inside.pitch)


def test_more_high_harmonics_are_brighter() -> None:
    assert (
        measure(voice(200.0, harmonics=20), "", tracker()).brightness
        > measure(voice(200.0, harmonics=3), "", tracker()).brightness + 6
    )


def test_syllables_are_vowel_groups_in_three_languages() -> None:
    assert syllables("Kids are talking by the door.") == 8
    assert syllables("Lubię czytać przed snem.") == 6
    assert syllables("") == 0


def test_a_change_moves_pitch_pace_and_brightness_only() -> None:
    cues = Cues(pitch=20.0, pitch_range=6.0, rate=5.0, pauses=0.1, brightness=-9.0, dynamics=8.0)
    changed = cues.changed(pitch=2.0, tempo=1.5, brightness_db=3.0)
    assert changed == replace(cues, pitch=32.0, rate=7.5, brightness=-6.0)


def ladder() -> list[Cues]:
    return [Cues(float(i), float(i), float(i), i / 100, float(i), float(i)) for i in range(101)]


def test_only_the_outer_15_percent_are_named_and_at_most_three() -> None:
    base = ladder()
    table = fit_thresholds([("x", "f", cues) for cues in base])["f"]
    assert table["pitch"] == pytest.approx((14.65, 33.167, 50.0, 66.833, 85.35), abs=0.05)
    assert named_cues(base[50], table) == {}
    assert named_cues(base[84], table) == {}
    assert len(named_cues(base[95], table)) == MAX_NAMED
    low = named_cues(base[5], table)
    assert "pauses" not in low and set(low.values()) == {"low"}
    two = replace(base[50], rate=90.0, pitch=3.0)
    assert named_cues(two, table) == {"pitch": "low", "rate": "high"}
    assert named_cues(replace(base[50], pitch=float("nan")), table) == {}
    assert named_cues(replace(base[50], dynamics=99.0), table) == {}


def test_corpora_count_alike_whatever_their_size() -> None:
    small = [("small", "f", cues) for cues in ladder()]
    large = [("large", "f", replace(cues, pitch=cues.pitch + 1000)) for cues in ladder()] * 9
    table = fit_thresholds(small + large)["f"]
    assert 90 < table["pitch"][2] < 1010  # the median lies between the two, not among the larger one's values
    assert fit_thresholds(small)["f"]["pitch"] == table["pitch"] or table["pitch"][0] < 101


def test_the_outer_third_supports_what_the_outer_15_percent_name() -> None:
    base = ladder()
    table = fit_thresholds([("x", "m", cues) for cues in base])["m"]
    assert supports(base[30], "pitch", "low", table) is True
    assert supports(base[40], "pitch", "low", table) is False
    assert supports(base[70], "rate", "high", table) is True
    assert supports(base[50], "rate", "high", table) is False
    assert supports(replace(base[50], rate=float("nan")), "rate", "high", table) is None
    for cues in base:
        assert all(supports(cues, name, level, table) for name, level in named_cues(cues, table).items())
