"""Augmentation: every change does what it says, and everything ends in the levels of the 4-bit code."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ugsd_core.acoustic import FeatureSpec, encode_waveform, log_mel
from ugsd_core.training.augment import (
    DECIBEL,
    Change,
    change_spectrogram,
    code_levels,
    draw_change,
    record_variant,
    resample,
)

SPEC = FeatureSpec(80, "peak", 4)


def voice() -> NDArray[np.float32]:
    time = np.arange(16_000) / 16_000
    wave = sum(np.sin(2 * np.pi * 180 * k * time) / k for k in range(1, 20)) * np.hanning(time.size)
    return (0.1 * wave).astype(np.float32)


def spectrogram() -> NDArray[np.float32]:
    return log_mel(voice(), SPEC)


def test_without_a_change_the_code_is_what_the_models_read_in_use() -> None:
    changed = change_spectrogram(spectrogram(), Change(), np.random.default_rng(0))
    np.testing.assert_allclose(changed, encode_waveform(voice(), SPEC).features(), atol=1e-5)


def test_tempo_changes_the_length_and_nothing_else_does() -> None:
    rng = np.random.default_rng(0)
    assert change_spectrogram(spectrogram(), Change(tempo=1.25), rng).shape == (80, 80)
    assert change_spectrogram(spectrogram(), Change(tract=1.1, tilt_db=4, noise_db=40, echo_s=0.3), rng).shape[1] == 100


def test_a_longer_tract_moves_the_spectrum_down() -> None:
    bins = np.arange(80)[:, None]

    def centre(tract: float) -> float:
        power = 10 ** (4 * change_spectrogram(spectrogram(), Change(tract=tract), np.random.default_rng(0)))
        return float((power * bins).sum() / power.sum())

    assert centre(0.9) < centre(1.0) < centre(1.1)


def test_noise_fills_the_silence_and_leaves_the_loud() -> None:
    plain = code_levels(spectrogram())
    noisy = change_spectrogram(spectrogram(), Change(noise_db=30.0), np.random.default_rng(0))
    assert noisy.min() > plain.min() + 10 * DECIBEL
    assert np.abs(noisy - plain)[plain > 1.0].max() < 6 * DECIBEL


def test_an_echo_rings_on() -> None:
    click = np.full((80, 60), -0.5, dtype=np.float32)
    click[:, 10] = 1.5
    echoed = change_spectrogram(click, Change(echo_s=0.5, echo_db=8.0), np.random.default_rng(0))
    assert echoed[40, 15] > echoed[40, 35] > echoed[40, 5]


def test_levels_are_those_of_the_code() -> None:
    rng = np.random.default_rng(1)
    change = Change(tract=1.05, tilt_db=3.0, bumps_db=(0.0, 2.0, -2.0), noise_db=45.0)
    levels = np.unique(change_spectrogram(spectrogram(), change, rng))
    assert len(levels) <= 16
    assert levels.max() == pytest.approx(1.5)


def test_the_microphone_curve_is_what_the_change_says() -> None:
    assert Change(tilt_db=6.0).curve_db(80)[[0, -1]].tolist() == [-3.0, 3.0]
    assert not Change().curve_db(80).any()


def test_drawn_changes_follow_the_seed() -> None:
    first, second = ([draw_change(np.random.default_rng(seed)) for seed in range(40)] for _ in range(2))
    assert first == second
    assert Change() in first and any(change.noise_db for change in first)


def test_a_variant_keeps_length_and_scale() -> None:
    rng = np.random.default_rng(0)
    for _ in range(12):
        heard = record_variant(voice(), rng)
        assert abs(heard.size - 16_000) < 2_000
        assert np.isfinite(heard).all() and 0.01 < np.abs(heard).max() < 1.5


def test_faster_is_shorter() -> None:
    assert resample(voice(), 1.0).size == 16_000
    assert resample(voice(), 1.25).size == 12_800
