from __future__ import annotations

from typing import Any

import pytest

from tools.traffic_shape import VIEWS, features


def row(*frames: tuple[float, str, int]) -> dict[str, Any]:
    return {"frames": [[at_s, way, size, 0] for at_s, way, size in frames]}


def test_an_eavesdropper_sees_sizes_as_they_are_padded_and_times() -> None:
    short = row((0.0, "up", 9_000), (0.2, "up", 130), (0.3, "down", 60))
    longer = row((0.0, "up", 9_900), (0.2, "up", 180), (0.3, "down", 90))
    longest = row((0.0, "up", 99_000), (0.2, "up", 1_800), (0.3, "down", 900))
    same = {view: features(short, view) == features(longer, view) for view in VIEWS}
    assert same == {"no padding": False, "usual padding": True, "strict padding": True}
    assert features(short, "usual padding") != features(longest, "usual padding")
    assert features(short, "strict padding") == features(longest, "strict padding")
    later = row((0.0, "up", 9_000), (0.3, "up", 130), (0.4, "down", 60))
    assert features(short, "strict padding") != features(later, "strict padding")
    assert features(short, "strict padding", times=False) == features(later, "strict padding", times=False)


@pytest.mark.parametrize("count", [0, 1, 40])
def test_any_number_of_frames_has_as_many_features(count: int) -> None:
    frames = [(float(number), "up", 200) for number in range(count)]
    assert len(features(row(*frames), "usual padding")) == len(features(row(), "usual padding"))
