"""The whole way once: a verifier, an edge, and a caption of an example clip."""

from __future__ import annotations

import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from ugsd_core.doctor.finding import Finding
from ugsd_core.doctor.verifier import GROUP
from ugsd_core.errors import UgsdError
from ugsd_core.parts import installed
from ugsd_core.places import assets_folder

__all__ = ["check_captioning"]

CLIP = "examples/slow_low_en.flac"


def check_captioning(address: str | None = None, access_token: str | None = None, clip: Path | None = None) -> Finding:
    """Caption a clip with everything judged by the verifier.

    Args:
        address: A running verifier; None starts the embedded one as a process of its own, and ends it.
        access_token: For verifiers that ask for one.
        clip: What is captioned; None is an example clip.
    """
    name = f"verifier at {address}" if address else "verifier of our own"
    if not address and not installed("torch"):
        return _by_the_edge_alone(clip or assets_folder() / CLIP)
    try:
        return _captioned(name, address, access_token, clip or assets_folder() / CLIP)
    except ModuleNotFoundError as error:
        from ugsd_core.parts import lacking

        missing = lacking(error.name)
        return Finding(GROUP, name, "missing", f"{error.name} is not installed" if missing is None else str(missing))
    except UgsdError as error:
        mend = "start one there (ugsd verifier), or leave --verifier out" if address else "see the rows marked ✗ above"
        return Finding(GROUP, name, "missing", str(error), mend)


def _by_the_edge_alone(clip: Path) -> Finding:
    """An installation without PyTorch has no verifier of its own."""
    from ugsd_core.audio import load_utterance
    from ugsd_core.captioner import Captioner
    from ugsd_core.options import DecodingOptions
    from ugsd_core.result import caption_result

    name, began = "edge alone", time.perf_counter()
    try:
        captioner = Captioner.load()
        result = caption_result(captioner.stream(load_utterance(clip), DecodingOptions(mode="edge")))
    except UgsdError as error:
        return Finding(GROUP, name, "missing", str(error), "see the rows marked ✗ above")
    took_s = time.perf_counter() - began
    said = f"captioned {clip.name} in {took_s:.1f} s, loading included; a verifier of our own needs PyTorch"
    return Finding(GROUP, name, "ok", said, details={"ready_s": round(took_s, 2), "caption": result.caption})


def _captioned(name: str, address: str | None, access_token: str | None, clip: Path) -> Finding:
    from ugsd_core.audio import load_utterance
    from ugsd_core.captioner import Captioner
    from ugsd_core.options import preset
    from ugsd_core.result import caption_result
    from ugsd_core.wire.client import WebSocketLink
    from ugsd_core.wire.process import VerifierProcess

    utterance = load_utterance(clip)
    began = time.perf_counter()
    with ExitStack() as ending:
        own = None if address else ending.enter_context(VerifierProcess(wait=False))
        captioner = Captioner.load(None)
        link = WebSocketLink(address or (own.address if own is not None else ""), access_token=access_token)
        ending.callback(link.close)
        captioner.link = link
        ready_s = time.perf_counter() - began
        result = caption_result(captioner.stream(utterance, preset("lossless")))
    judged = sum(block.outcome == "judged" for block in result.blocks)
    if not judged:
        return Finding(GROUP, name, "missing", "it judged nothing", "; ".join(result.warnings))
    serves = result.checkpoints.get("verifier", {})
    said = f"serves {_served(serves)}; ready in {ready_s:.0f} s; it judged {judged} blocks of a caption of {clip.name}"
    details = {"ready_s": round(ready_s, 2), "caption": result.caption, "serves": serves}
    return Finding(GROUP, name, "ok", said, details=details)


def _served(checkpoint: dict[str, Any]) -> str:
    """What it says it serves, in words."""
    return f"{checkpoint.get('name', 'an unnamed checkpoint')} ({checkpoint.get('vocabulary_size', 0):,} token ids)"
