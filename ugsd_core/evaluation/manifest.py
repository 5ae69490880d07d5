"""What a manifest says of a run, and whether a run that is resumed is the same one."""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from ugsd_core import __version__
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.errors import OptionError
from ugsd_core.evaluation.plan import EvaluationPlan, System
from ugsd_core.evaluation.records import RUN_SCHEMA
from ugsd_core.evaluation.systems import definition_of

__all__ = ["check_same", "checkpoint_facts", "machine", "new_manifest", "now", "settings_sha256", "system_entry"]

#: Checkpoints up to this size are hashed byte by byte; of larger ones names and sizes are.
HASHED_BYTES = 2 * 10**9

WARM_UP = (
    "Before the first clip every system captions one second of noise, which no figure counts; so it is again after a "
    "resume."
)


def now() -> str:
    """The time in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def settings_sha256(values: Any) -> str:
    """SHA-256 (hex) of plain values, whatever the order of their keys."""
    text = json.dumps(values, ensure_ascii=False, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def system_entry(system: System) -> dict[str, Any]:
    """A system as the manifest has it."""
    options = system.options.to_dict()
    facts = {"options": options, "kind": system.kind, "matched": system.matched}
    return {
        "name": system.name,
        "definition": definition_of(system),
        "kind": system.kind,
        "matched": system.matched,
        "options": options,
        "options_sha256": settings_sha256(facts),
    }


def new_manifest(
    plan: EvaluationPlan, clips: Sequence[CorpusClip], source: Mapping[str, Any], notes: Mapping[str, Any]
) -> dict[str, Any]:
    """The manifest of a run that begins.

    Args:
        clips: Those that will be captioned.
        source: What `CaptionSource.describe` says.
        notes: Whatever whoever started the run wants kept, such as the command line.
    """
    corpus = plan.corpus
    return {
        "schema": RUN_SCHEMA,
        "ugsd": __version__,
        "created": now(),
        "finished": None,
        "language": plan.language,
        "seed": plan.seed,
        "limit": plan.limit,
        "clips": len(clips),
        "clips_sha256": settings_sha256([clip.id for clip in clips]),
        "captions": len(clips) * len(plan.systems),
        "systems": [system_entry(system) for system in plan.systems],
        "matched": {},
        "corpus": {
            "name": corpus.name,
            "format": corpus.format,
            "sha256": corpus.sha256,
            "clips": len(corpus.clips),
            "usable": len(corpus.usable(plan.language)),
            "problems": dict(sorted(Counter(problem.kind for problem in corpus.problems).items())),
        },
        "checkpoints": {side: source.get(side) for side in ("edge", "verifier")},
        "device": source.get("device"),
        "machine": machine(),
        "versions": versions(),
        "warm_up": WARM_UP,
        "traces": plan.traces,
        "notes": dict(notes),
        "sessions": [],
    }


def check_same(old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Hold that a run can be taken up: the same clips, language, seed and checkpoints, and systems that are the same
    where they have the same name. Systems may be added; those that are not named again stay as they are.

    Raises:
        OptionError: With everything that differs.
    """
    if old.get("schema") != RUN_SCHEMA:
        raise OptionError("the run was written by another version; evaluate again into another folder with --out")
    differing = []
    for name, what in (("language", "language"), ("seed", "seed"), ("limit", "limit")):
        if old.get(name) != new[name]:
            differing.append(f"{what} (there {_said(old.get(name))}, now {_said(new[name])})")
    before, after = old.get("corpus") or {}, new["corpus"]
    if before.get("sha256") != after["sha256"]:
        differing.append(f"corpus (there {before.get('name')!r}, now {after['name']!r}, by its ids, texts and labels)")
    elif not differing and old.get("clips_sha256") != new["clips_sha256"]:
        differing.append(f"which clips can be used (there {old.get('clips')}, now {new['clips']})")
    differing += [*_checkpoints(old, new), *_systems(old, new)]
    if differing:
        raise OptionError(
            f"the folder holds another run; different are {'; '.join(differing)}. Ask for the same to resume it, or "
            "name another folder with --out"
        )


def _said(value: Any) -> str:
    return "none" if value is None else str(value)


def _checkpoints(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Sides whose checkpoint is another one; a side that one of the two runs did not need is no difference."""
    found = []
    for side in ("edge", "verifier"):
        before, after = (run["checkpoints"].get(side) or {} for run in (old, new))
        keys = ("name", "tokenizer_fingerprint", "feature_fingerprint", "dtype", "backend", "files_sha256")
        if any(before.get(key) != after.get(key) for key in keys if before.get(key) and after.get(key)):
            found.append(f"{side} checkpoint (there {before.get('name')!r}, now {after.get('name')!r})")
    return found


def _systems(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    there = {entry["name"]: entry for entry in old["systems"]}
    found = []
    for entry in new["systems"]:
        before = there.get(entry["name"])
        if before is None or before["options_sha256"] == entry["options_sha256"]:
            continue
        facts = [entry_["options"] | {"kind": entry_["kind"], "match": entry_["matched"]} for entry_ in (before, entry)]
        keys = [key for key in facts[1] if facts[0].get(key) != facts[1][key]]
        pairs = ", ".join(f"{key} {_said(facts[0].get(key))} → {_said(facts[1][key])}" for key in keys)
        found.append(f"system {entry['name']} ({pairs or 'settings of another version'})")
    return found


# ── Where it ran ──────────────────────────────────────────────────────────────────────────────────────────────────────


def machine() -> dict[str, Any]:
    """Processor, cores, memory and system; nothing that names the machine or its user."""
    import psutil  # type: ignore[import-untyped, unused-ignore]

    return {
        "system": f"{platform.system()} {platform.release()}",
        "cpu": _cpu_model(),
        "cores": psutil.cpu_count(logical=False),
        "threads": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
    }


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def versions() -> dict[str, str]:
    """Of Python and of what computes."""
    found = {"python": platform.python_version()}
    for name in ("torch", "transformers", "tokenizers", "numpy", "websockets"):
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:  # pragma: no cover - all are required
            continue
    return found


def checkpoint_facts(folder: Path | None) -> dict[str, Any]:
    """What can be told of a checkpoint's files: ``files_sha256`` over names and contents, and how it was taken.

    Of more than 2 GB only names and sizes are read. Nothing is known of a checkpoint that is not a folder.
    """
    if folder is None or not folder.is_dir():
        return {}
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.suffix != ".md")
    whole = sum(path.stat().st_size for path in files) <= HASHED_BYTES
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.relative_to(folder).as_posix().encode() + b"\0")
        if whole:
            with path.open("rb") as file:
                digest.update(hashlib.file_digest(file, "sha256").digest())
        else:
            digest.update(str(path.stat().st_size).encode())
    return {"files_sha256": digest.hexdigest(), "files_hashed": "contents" if whole else "names and sizes"}
