from __future__ import annotations

import numpy as np
import pytest

from ugsd_core.acoustic import (
    DYNAMIC_RANGE,
    MAX_FRAMES,
    PEAK_VALUE,
    AcousticCode,
    FeatureSpec,
    encode_waveform,
    log_mel,
)
from ugsd_core.errors import OptionError, ProtocolError

NOISE = (np.random.default_rng(0).standard_normal(16_077) * 0.1).astype(np.float32)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_equals_whispers_feature_extractor(n_mels: int) -> None:
    from transformers import WhisperFeatureExtractor

    extractor = WhisperFeatureExtractor(feature_size=n_mels)
    expected = extractor(NOISE, sampling_rate=16_000, padding=False, return_tensors="np").input_features[0]
    ours = log_mel(NOISE, FeatureSpec(n_mels=n_mels))
    assert ours.shape == (n_mels, 100)
    np.testing.assert_allclose(ours, expected[:, :100], atol=1e-4)


@pytest.mark.parametrize("n_mels", [80, 128])
def test_window_and_filters_are_transformers_to_the_last_bit(n_mels: int) -> None:
    from transformers.audio_utils import mel_filter_bank, window_function

    from ugsd_core.acoustic import _filters

    window, bank = _filters(n_mels)
    theirs = mel_filter_bank(201, n_mels, 0.0, 8_000.0, 16_000, norm="slaney", mel_scale="slaney")
    assert np.array_equal(bank, theirs.T.astype(np.float32))
    assert np.array_equal(window, window_function(400, "hann").astype(np.float32))


@pytest.mark.parametrize("bits", [4, 8])
def test_quantisation_error_is_at_most_half_a_step(bits: int) -> None:
    features = log_mel(NOISE, FeatureSpec())
    code = AcousticCode.quantise(features, bits)
    step = DYNAMIC_RANGE / (2**bits - 1)
    assert np.abs(code.features() - features).max() <= step / 2 + 1e-5
    assert len(code.payload) == 80 * 100 * bits // 8


def test_quantising_the_dequantised_code_changes_nothing() -> None:
    code = encode_waveform(NOISE, FeatureSpec(bits=4))
    again = AcousticCode.quantise(code.features(), 4)
    assert again.payload == code.payload
    np.testing.assert_allclose(again.features(), code.features(), atol=1e-5)


def test_odd_number_of_values_packs_into_nibbles() -> None:
    features = np.linspace(0, 2, 80 * 3, dtype=np.float32).reshape(80, 3)
    code = AcousticCode.quantise(features, 4)
    assert code.features().shape == (80, 3)


def test_peak_level_makes_the_code_independent_of_gain() -> None:
    spec = FeatureSpec(level="peak", bits=4)
    loud, quiet = encode_waveform(NOISE, spec), encode_waveform(NOISE * 0.05, spec)
    assert np.abs(loud.features() - quiet.features()).max() <= DYNAMIC_RANGE / 15 + 1e-4
    assert log_mel(NOISE * 0.05, spec).max() == pytest.approx(PEAK_VALUE)
    assert log_mel(NOISE * 0.05, FeatureSpec()).max() != pytest.approx(log_mel(NOISE, FeatureSpec()).max(), abs=0.1)


def test_code_is_far_smaller_than_the_waveform() -> None:
    code = encode_waveform(NOISE, FeatureSpec(bits=4))
    assert len(code.payload) * 8 == pytest.approx(2 * 16_000, rel=0.01)  # an eighth of 16-bit PCM


def test_at_most_thirty_seconds() -> None:
    assert log_mel(np.zeros(16_000 * 31, dtype=np.float32), FeatureSpec()).shape[1] == MAX_FRAMES


def test_fingerprints_differ_with_every_field() -> None:
    specs = [FeatureSpec(), FeatureSpec(n_mels=128), FeatureSpec(level="peak"), FeatureSpec(bits=4)]
    assert len({spec.fingerprint for spec in specs}) == 4


@pytest.mark.parametrize("changes", [{"n_mels": 64}, {"level": "loud"}, {"bits": 3}])
def test_impossible_specs(changes: dict[str, object]) -> None:
    with pytest.raises(OptionError):
        FeatureSpec(**changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "fields",
    [
        (80, 10, 8, 1.0, b"\0" * 799),
        (81, 10, 8, 1.0, b"\0" * 810),
        (80, 0, 8, 1.0, b""),
        (80, 10, 8, float("nan"), b"\0" * 800),
    ],
)
def test_impossible_codes_are_refused(fields: tuple[int, int, int, float, bytes]) -> None:
    with pytest.raises(ProtocolError):
        AcousticCode(*fields)
