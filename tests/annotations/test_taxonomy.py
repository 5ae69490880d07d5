"""The flag taxonomy, ours and others'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.taxonomy import Taxonomy, default_taxonomy, read_taxonomy


def test_ours_has_every_kind_in_both_languages() -> None:
    taxonomy = default_taxonomy()
    assert [kind.id for kind in taxonomy.kinds] == [
        "wrong_emotion", "wrong_intensity", "hallucinated_cue", "missing_cue", "wrong_speaker", "not_fluent", "other",
    ]  # fmt: skip
    for entry in (*taxonomy.kinds, *taxonomy.severities):
        assert set(entry.name) == set(entry.description) == {"en", "zh"}
    assert [taxonomy.rank(name) for name in ("minor", "major", "critical", "unheard of")] == [1, 2, 3, 0]


def test_a_taxonomy_survives_its_own_values(tmp_path: Path) -> None:
    taxonomy = default_taxonomy()
    (tmp_path / "t.json").write_text(json.dumps(taxonomy.to_dict()))
    assert read_taxonomy(tmp_path / "t.json") == taxonomy


def changed(**values: Any) -> dict[str, Any]:
    return default_taxonomy().to_dict() | values


@pytest.mark.parametrize(
    "values",
    [
        changed(version=0),
        changed(kinds=[]),
        changed(kinds=default_taxonomy().to_dict()["kinds"] * 2),
        changed(kinds=[{"id": "Bad Id", "name": {"en": "x"}}]),
        changed(kinds=[{"id": "fine", "name": {"zh": "x"}}]),
        changed(severities=[{"id": "a", "rank": 0, "name": {"en": "a"}}]),
        {"id": "x"},
        [],
    ],
)
def test_a_taxonomy_that_is_none_is_refused(values: Any) -> None:
    with pytest.raises(AnnotationError):
        Taxonomy.from_dict(values)
