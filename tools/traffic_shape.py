"""What sizes and times of frames tell an eavesdropper who can read none of them.

    python -m tools.traffic_shape --data ../shared/data --clips 240 --record runs/traffic.jsonl
    python -m tools.traffic_shape --from runs/traffic.jsonl --json

Captions clips over a real WebSocket to a verifier of its own and keeps, of each frame, when it went, in which direction
and how long it was. From these alone it guesses, for clips that it was not fitted to, the recording's duration, the
number of blocks sent, the caption's length, and the emotion that the caption names: once with the lengths that the
messages have (TLS hides nothing of a length), once padded as usual, once padded strictly, and from times alone.

TLS adds 22 bytes to a record, WebSocket 2 to 14 to a frame; both are constant for a given length and left out. Needs
scikit-learn (the extra ``train``).
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

from ugsd_core.wire.frames import FRAME_SIZES, STRICT_SIZES

__all__ = ["features", "findings", "main", "observe", "rows_of"]

CORPORA = ("ravdess", "nemo", "emodb")
FOLDS = 5
REPEATS = 3
#: Kinds of emotion with fewer captions are left out: nothing can be learnt about them.
LEAST = 20
#: What the eavesdropper looks at: lengths and times, one of them, or neither (how many frames went each way).
VIEWS = ("no padding", "usual padding", "strict padding")


def observe(clips: list[tuple[str, Path, str]], preset_name: str, out: Path | None) -> list[dict[str, Any]]:
    """Caption clips and keep what can be seen from outside, and what is to be guessed."""
    from ugsd_core.audio import load_utterance
    from ugsd_core.captioner import Captioner
    from ugsd_core.lexicon import emotions_in
    from ugsd_core.messages import FrameSent
    from ugsd_core.options import preset
    from ugsd_core.result import caption_result
    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.process import VerifierProcess

    rows: list[dict[str, Any]] = []
    with VerifierProcess() as verifier, WebSocketLink(verifier.address, open_timeout_s=60.0) as link:
        captioner = Captioner.load(link=link)
        captioner.warm_up()
        for number, (corpus, path, label) in enumerate(clips):
            heard = load_utterance(path)
            began = time.perf_counter()
            # Deadlines that hold on a busy machine, too: a block that was given up would look like a shorter caption.
            options = preset(preset_name, deadline_s=30.0)
            events = list(captioner.stream(heard, options))
            result = caption_result(iter(events))
            frames = [event for event in events if isinstance(event, FrameSent) and event.traffic != "handshake"]
            named = emotions_in(result.caption, "en")
            rows.append(
                {
                    "corpus": corpus,
                    "label": label,
                    "emotion": str(named[0]) if named else "none",
                    "duration_s": len(heard.samples) / 16_000,
                    "tokens": result.counts["caption"],
                    "escalations": result.counts["escalations"],
                    "took_s": time.perf_counter() - began,
                    "frames": [(frame.t_s, frame.direction, frame.payload_bytes, frame.wire_bytes) for frame in frames],
                }
            )
            if out is not None:
                with out.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(rows[-1]) + "\n")
            if number % 50 == 49:
                print(f"{number + 1} of {len(clips)}", file=sys.stderr, flush=True)
    return rows


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What `observe` kept."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _length(payload_bytes: int, view: str) -> int:
    sizes = {"no padding": (payload_bytes,), "usual padding": FRAME_SIZES, "strict padding": STRICT_SIZES}[view]
    return next(size for size in sizes if size >= payload_bytes)


def features(row: dict[str, Any], view: str, *, lengths: bool = True, times: bool = True) -> list[float]:
    """What an eavesdropper measures of one caption: counts, and lengths and times of frames if it looks at them."""
    frames = [(at_s, direction, _length(payload, view)) for at_s, direction, payload, _ in row["frames"]]
    up, down = ([frame for frame in frames if frame[1] == way] for way in ("up", "down"))
    found = [float(len(up)), float(len(down))]
    for side in (up, down) if lengths else ():
        sizes = sorted((frame[2] for frame in side), reverse=True)
        rest = sizes[1:] or [0]
        found += [sum(sizes), sizes[0] if sizes else 0, *np.quantile(rest, (0.0, 0.5, 1.0)), float(np.mean(rest))]
        # The lengths in their order, as many as a caption usually has.
        found += [frame[2] for frame in side[:6]] + [0.0] * max(0, 6 - len(side))
    if times:
        at = [frame[0] for frame in frames] or [0.0]
        gaps = list(np.diff(at)) or [0.0]
        found += [at[-1] - at[0], *np.quantile(gaps, (0.0, 0.5, 1.0))]
        found += [float(gap) for gap in gaps[:8]] + [0.0] * max(0, 8 - len(gaps))
    return [float(value) for value in found]


def findings(rows: list[dict[str, Any]], seed: int = 0) -> dict[str, Any]:
    """How well each thing can be guessed, by what is looked at; guesses are for folds that were left out."""
    looks = {view: {"view": view, "times": False} for view in VIEWS}
    # Corpora differ in the length of clips and in their emotions: who knows the corpus alone beats chance.
    corpora = np.array([[row["corpus"] == name for name in CORPORA] for row in rows], dtype=float)
    looks |= {f"{view} and times": {"view": view, "times": True} for view in VIEWS}
    looks["times alone"] = {"view": "strict padding", "lengths": False, "times": True}
    looks["counts alone"] = {"view": "strict padding", "lengths": False, "times": False}
    found: dict[str, Any] = {"captions": len(rows), "bytes": _bytes(rows), "always the same guess": _constant(rows)}
    for name, look in looks.items():
        measured = np.array([features(row, **look) for row in rows])  # type: ignore[arg-type]
        found[name] = _guessed(measured, rows, seed)
    found["the corpus alone"] = _guessed(corpora, rows, seed)
    return found


def _guessed(measured: Any, rows: list[dict[str, Any]], seed: int) -> dict[str, Any]:
    return {
        **{target: _error(measured, rows, target, seed) for target in ("duration_s", "tokens", "escalations")},
        **{target: _accuracy(measured, rows, target, seed) for target in ("emotion", "label")},
    }


def _bytes(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Mean bytes of a caption in each direction, by padding."""
    return {
        view: {
            way: round(
                float(np.mean([sum(_length(f[2], view) for f in row["frames"] if f[1] == way) for row in rows])), 1
            )
            for way in ("up", "down")
        }
        for view in VIEWS
    }


def _constant(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """What whoever sees nothing achieves: the median, the commonest."""
    numbers = {
        target: round(float(np.mean(np.abs(values - np.median(values)))), 3)
        for target in ("duration_s", "tokens", "escalations")
        for values in [np.array([row[target] for row in rows])]
    }
    words = {
        target: {"balanced": round(1 / len(kinds), 3), "kinds": kinds}
        for target in ("emotion", "label")
        for kinds in [_kinds(rows, target)]
    }
    return numbers | words


def _error(measured: Any, rows: list[dict[str, Any]], target: str, seed: int) -> float:
    """Mean absolute error of guesses for rows that were left out."""
    from sklearn.ensemble import RandomForestRegressor
    from sklearn.model_selection import KFold, cross_val_predict

    wanted = np.array([row[target] for row in rows], dtype=float)
    model = RandomForestRegressor(100, criterion="squared_error", min_samples_leaf=2, random_state=seed)
    guessed = cross_val_predict(model, measured, wanted, cv=KFold(FOLDS, shuffle=True, random_state=seed))
    return round(float(np.mean(np.abs(guessed - wanted))), 3)


def _accuracy(measured: Any, rows: list[dict[str, Any]], target: str, seed: int) -> dict[str, Any]:
    """Balanced accuracy (mean over kinds of the share guessed right) for rows left out: mean and range of repeats."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.metrics import balanced_accuracy_score
    from sklearn.model_selection import KFold, cross_val_predict

    kinds = _kinds(rows, target)
    usable = np.array([row[target] in kinds for row in rows])
    wanted = np.array([row[target] for row in rows])[usable]
    found = []
    for repeat in range(seed, seed + REPEATS):
        model = RandomForestClassifier(100, min_samples_leaf=3, class_weight="balanced", random_state=repeat)
        folds = KFold(FOLDS, shuffle=True, random_state=repeat)
        guessed = cross_val_predict(model, measured[usable], wanted, cv=folds)
        found.append(float(balanced_accuracy_score(wanted, guessed)))
    return {"balanced": round(float(np.mean(found)), 3), "range": [round(min(found), 3), round(max(found), 3)]}


def _kinds(rows: list[dict[str, Any]], target: str) -> dict[str, int]:
    """Kinds that are common enough, with their captions."""
    return {kind: count for kind, count in Counter(row[target] for row in rows).most_common() if count >= LEAST}


def _chosen(data: Path, split: str, count: int, seed: int) -> list[tuple[str, Path, str]]:
    """Clips drawn in equal parts from the corpora that are there."""
    pools = []
    for corpus in CORPORA:
        table = data / corpus / "manifest.csv"
        if table.is_file():
            with table.open(encoding="utf-8", newline="") as file:
                rows = [row for row in csv.DictReader(file) if row["split"] == split]
            random.Random(seed).shuffle(rows)
            pools.append([(corpus, data / corpus / row["path"], row["emotion"]) for row in rows])
    if not pools:
        raise SystemExit(f"there is none of {', '.join(CORPORA)} in {data}")
    return [clip for pool in pools for clip in pool[: count // len(pools)]]


def main(arguments: list[str] | None = None) -> int:
    """Record if asked, then guess; prints one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder of corpora")
    parser.add_argument("--split", default="test", help="rows of the manifests to take (test)")
    parser.add_argument("--clips", type=int, default=240, help="clips to caption (240)")
    parser.add_argument("--preset", default="default", help="how the edge decodes (default)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--record", type=Path, metavar="FILE", help="keep what was observed")
    parser.add_argument("--from", dest="kept", type=Path, metavar="FILE", help="use what was kept")
    args = parser.parse_args(arguments)
    rows = (
        rows_of(args.kept)
        if args.kept
        else observe(_chosen(args.data, args.split, args.clips, args.seed), args.preset, args.record)
    )
    print(json.dumps({"preset": args.preset} | findings(rows, args.seed), indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
