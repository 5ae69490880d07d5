"""``ugsd corpus``: what is in a corpus, how many of its clips are usable, and why others are not."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from typing import Any

from ugsd_core.cli.output import progress
from ugsd_core.corpora import Corpus, Finding, Preflight, main_language, preflight, read_corpus
from ugsd_core.errors import OptionError

__all__ = ["run"]

_EXIT_NOTHING_USABLE = 1


def run(args: argparse.Namespace) -> int:
    """Read, count, print.

    Raises:
        OptionError: If it is no corpus.
    """
    if args.examples < 0:
        raise OptionError(f"--examples takes 0 or more, not {args.examples}")
    with progress("reading the corpus", quiet=args.json):
        corpus = read_corpus(args.corpus, args.format, audio=args.audio, confined=False)
        if args.split:
            corpus = corpus.split(args.split)
        found = preflight(corpus, args.language or main_language(corpus), examples=args.examples)
    if args.json:
        print(json.dumps(found.to_dict() | _about(corpus), ensure_ascii=False, indent=2))
    else:
        print("\n".join((*_counts(corpus, found), *(line for entry in found.findings for line in _said(entry)))))
    return 0 if found.ready else _EXIT_NOTHING_USABLE


def _about(corpus: Corpus) -> dict[str, Any]:
    """What a corpus holds besides what its preflight counts."""
    clips = corpus.clips
    return {
        "sha256": corpus.sha256,
        "folder": None if corpus.folder is None else str(corpus.folder),
        "speakers": len({clip.speaker for clip in clips if clip.speaker}),
        "splits": dict(sorted(Counter(clip.split for clip in clips if clip.split).items())),
        "labels": dict(sorted(Counter(clip.label for clip in clips if clip.label).items())),
        "references": dict(sorted(Counter(code for clip in clips for code in clip.references).items())),
    }


def _counts(corpus: Corpus, found: Preflight) -> list[str]:
    about = _about(corpus)
    lines = [
        f"{corpus.name} (format {corpus.format})",
        f"  {found.summary}",
        f"  recordings found     {found.with_audio:,} of {found.clips:,}",
        f"  captions ({found.language})        {found.with_reference:,}",
        f"  emotion labels       {found.with_label:,}",
    ]
    if about["speakers"]:
        lines.append(f"  speakers             {about['speakers']:,}")
    if about["splits"]:
        lines.append("  splits               " + ", ".join(f"{name} {n:,}" for name, n in about["splits"].items()))
    others = {code: n for code, n in about["references"].items() if code != found.language}
    lines += [f"  captions ({code})        {n:,}" for code, n in others.items()]
    return lines


def _said(finding: Finding) -> list[str]:
    lost = f" ({finding.lost:,} not usable for this)" if finding.lost else ""
    lines = [f"- {finding.message}{lost} {finding.remedy}"]
    named = [example for example in finding.examples if example.message]
    lines += [f"    {example.message}" for example in named]
    clips = [example.clip for example in finding.examples if not example.message]
    if clips:
        lines.append(f"    such as {', '.join(clips)}")
    elif named and finding.count > len(named):
        lines.append(f"    … and {finding.count - len(named):,} more (--examples {finding.count} shows all)")
    return lines
