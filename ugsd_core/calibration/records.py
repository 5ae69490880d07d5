"""What calibration knows of one clip: the edge's draft, its signals, and the verifier's view of every position.

A record is one JSON line. It says what each side would do, not what a gate decided, so that any gate, threshold,
budget or promise is computed from records alone, in no time and without a model.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from ugsd_core.errors import OptionError

__all__ = ["RECORD_SCHEMA", "ClipRecord", "PositionRecord", "TokenColumns", "append_record", "read_records"]

#: Counts up when old records can no longer be read as new ones.
RECORD_SCHEMA = 2


@dataclass(frozen=True, slots=True)
class PositionRecord:
    """One position at which the edge's draft begins an emotion word, or could: what a gate may send.

    Attributes:
        position: In the caption; the verifier is asked behind the same prefix.
        token_id: What the edge drafted.
        label: Label whose word that token begins (index into `EMOTION_LABELS`); None if it begins none.
        signals: By the names of `ugsd_core.calibration.signals.SIGNALS`; None where one has no meaning.
        text: The edge's label masses (9,) in its draft distribution, not normalised.
        verifier: The verifier's label masses (9,) at this position, not normalised.
        best_id: The verifier's most probable token.
        best_label: The label whose word that begins, if any.
        rank: Of the drafted token under the verifier.
        label_after: The caption's label when this token is replaced by ``best_id`` and the edge writes on; the label
            it has without that where nothing changes.
        then: Positions of what the edge writes behind ``best_id``; they take the place of those behind this one.
    """

    position: int
    token_id: int
    label: int | None
    signals: dict[str, float | None]
    text: tuple[float, ...]
    verifier: tuple[float, ...]
    best_id: int
    best_label: int | None
    rank: int
    label_after: int | None
    then: tuple[PositionRecord, ...] = ()

    @property
    def ids_change(self) -> bool:
        """Whether the verifier, asked by rank 1, would put another token here."""
        return self.rank > 1


@dataclass(frozen=True, slots=True)
class TokenColumns:
    """All tokens of the edge's draft, a column a figure, each of the caption's length.

    Attributes:
        emotion: Whether it is an emotion position; later tokens of a word that is cut are some, too.
        rank: Rank of the drafted token under the verifier behind the same prefix.
        mc_dropout: Dropout disagreement in nats; empty when it was not asked for.
    """

    token_id: tuple[int, ...]
    emotion: tuple[bool, ...]
    entropy: tuple[float, ...]
    margin: tuple[float, ...]
    nll: tuple[float, ...]
    mc_dropout: tuple[float, ...]
    rank: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ClipRecord:
    """One clip in one language.

    Attributes:
        label: The clip's own label (index); None if unknown.
        edge_caption, cloud_caption: Edge-only and cloud-only.
        edge_label, cloud_label: The last label each names; None if it names none.
        head: Posterior (9,) of the edge's emotion head; None without one.
    """

    id: str
    corpus: str
    speaker: str
    sex: str
    language: str
    label: int | None
    edge_caption: str
    cloud_caption: str
    edge_label: int | None
    cloud_label: int | None
    tokens: TokenColumns
    positions: tuple[PositionRecord, ...]
    head: tuple[float, ...] | None

    @property
    def key(self) -> tuple[str, str, str]:
        """What a resumed run recognises the clip by."""
        return self.corpus, self.id, self.language

    def to_dict(self) -> dict[str, Any]:
        """Plain values, figures rounded to six digits."""
        plain: dict[str, Any] = _rounded(asdict(self))
        return {"schema": RECORD_SCHEMA} | plain

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ClipRecord:
        """The inverse of `to_dict`, up to rounding.

        Raises:
            OptionError: If it was written by another version.
        """
        if values.get("schema") != RECORD_SCHEMA:
            raise OptionError("the records were written by another version; delete them and collect again")
        try:
            rest = {key: value for key, value in values.items() if key != "schema"}
            rest["tokens"] = TokenColumns(**{key: tuple(column) for key, column in rest["tokens"].items()})
            rest["positions"] = _positions(rest["positions"])
            rest["head"] = None if rest["head"] is None else tuple(rest["head"])
            return cls(**rest)
        except (KeyError, TypeError, AttributeError) as error:
            raise OptionError(f"a record is damaged ({error}); delete the file and collect again") from error


def _positions(values: Iterable[dict[str, Any]]) -> tuple[PositionRecord, ...]:
    return tuple(
        PositionRecord(
            **(
                entry
                | {name: tuple(entry[name]) for name in ("text", "verifier")}
                | {"then": _positions(entry["then"])}
            )
        )
        for entry in values
    )


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {key: _rounded(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(entry) for entry in value]
    return value


def append_record(path: Path, record: ClipRecord) -> None:
    """Add one line and flush it, so that a run that dies leaves all it did."""
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(record.to_dict(), ensure_ascii=False, allow_nan=False) + "\n")


def read_records(paths: Iterable[Path]) -> list[ClipRecord]:
    """Records of several files, in order; a last line that was cut off is left out.

    Raises:
        OptionError: If a line is no record.
    """
    records = []
    for path in paths:
        lines = path.read_text(encoding="utf-8").split("\n")
        lines.pop()  # empty, or what a killed process left
        for number, line in enumerate(lines, 1):
            try:
                records.append(ClipRecord.from_dict(json.loads(line)))
            except json.JSONDecodeError as error:
                raise OptionError(f"line {number} of {path} is damaged: {error.msg}") from error
    return records
