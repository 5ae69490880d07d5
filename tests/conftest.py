"""Shared fixtures: tiny random pairs of both model classes, built once a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests import tiny

if TYPE_CHECKING:
    from ugsd_core.models.speech_model import SpeechModel


# For the programs that tests start, before any of them loads torch; `one_thread` is the same for this one.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@dataclass(frozen=True)
class Pair:
    """An edge and a verifier of one family, random but unlike."""

    family: str
    edge: SpeechModel
    verifier: SpeechModel


@pytest.fixture(scope="session")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Pair]:
    """Tiny pairs by family name."""
    built: dict[str, Pair] = {}

    def pair(family: str) -> Pair:
        if family not in built:
            from ugsd_core.models.loading import load_speech_model

            folder = tmp_path_factory.mktemp(family)
            edge = tiny.save_checkpoint(folder / "edge", family, seed=1)
            verifier = tiny.save_checkpoint(folder / "verifier", family, seed=2, size=48)
            built[family] = Pair(family, load_speech_model(edge), load_speech_model(verifier))
        return built[family]

    return pair


@pytest.fixture(scope="session", params=tiny.FAMILY_NAMES)
def emotional_pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    """Each family's tiny pair in turn, with emotion words in the vocabulary, and with strong feelings about them."""
    import torch

    from ugsd_core.models.loading import load_speech_model

    folder = tmp_path_factory.mktemp("emotional")
    models = []
    for seed, name in enumerate(("edge", "verifier"), 1):
        words = " sad angry happy calm afraid"
        model = load_speech_model(
            tiny.save_checkpoint(
                folder / name, request.param, seed=seed, size=32 + 16 * (seed - 1), extra_sentence=words
            )
        )
        tokens = model.emotion_tokens("en")
        with torch.no_grad():
            for label in range(9):
                model.model.lm_head.weight[torch.from_numpy(tokens.ids_of(label))] *= 5.0
        models.append(model)
    return Pair(request.param, *models)


@pytest.fixture(params=tiny.FAMILY_NAMES)
def pair(request: pytest.FixtureRequest, pairs: Callable[[str], Pair]) -> Pair:
    """Each family's tiny pair in turn."""
    return pairs(request.param)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Models of a few thousand parameters lose more to thread hand-over than they gain, above all on busy machines."""
    import torch

    torch.set_num_threads(1)
