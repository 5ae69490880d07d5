"""The page's functions for programs: named endpoints with typed parameters, over HTTP and, if asked for, MCP.

Gradio makes an endpoint of each public method of `Endpoints`: its name, its type hints and its docstring are what a
client is shown. Captions take their turns with those of the page. ``docs/api.md`` shows how to call them.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal
from uuid import uuid4

import gradio as gr
from gradio import FileData
from gradio.utils import get_upload_folder

from ugsd_core.audio import Utterance, load_utterance
from ugsd_core.errors import AudioError, OptionError, TraceError, UgsdError
from ugsd_core.messages import Event, event_from_dict, event_to_dict
from ugsd_core.options import DecodingOptions, preset
from ugsd_core.result import ResultBuilder
from ugsd_core.speech_presence import listened
from ugsd_core.what_if import would_escalate
from ugsd_core.wire.emulated import Conditions
from ui.language import say
from ui.runs import AS_IS, Runs
from ui.speech import Recordings

__all__ = ["Endpoints", "build_api", "plainly"]

_log = logging.getLogger("ugsd.api")


def build_api(runs: Runs, recordings: Recordings) -> None:
    """Add the endpoints to the open Blocks."""
    endpoints = Endpoints(runs, recordings)
    gr.api(endpoints.caption, api_name="caption", concurrency_limit=16)  # captions take their turns themselves
    gr.api(endpoints.speech, api_name="speech", concurrency_limit=4)
    gr.api(endpoints.what_if, api_name="what_if", concurrency_limit=4)


class Endpoints:
    """What programs may call. Everything that goes wrong is a `gr.Error` with one sentence."""

    def __init__(self, runs: Runs, recordings: Recordings) -> None:
        self._runs, self._recordings = runs, recordings

    def caption(
        self,
        audio: FileData,
        language: Literal["en", "zh"] = "en",
        mode: Literal["ugsd", "edge", "cloud"] = "ugsd",
        preset: str = "default",
        budget_percent: float | None = None,
        promise_percent: float | None = None,
        tau: float | None = None,
        first_30_s: bool = False,
        link: str = "none",
    ) -> Iterator[dict[str, Any]]:
        """Caption how somebody sounds in a recording.

        Streams the events of the run, each an object with its kind, as they stand in a trace. The last object is the
        result: caption, tokens, ratios, clocks and ledger.

        Args:
            audio: A sound or video file of at most 30 s.
            language: Language of the caption.
            mode: Who decides: ugsd (the edge drafts, the verifier is asked where it is unsure), edge or cloud alone.
            preset: Settings by name: default, paper, proposal or lossless.
            budget_percent: Send at most this share of the drafted tokens; in place of the preset's limit.
            promise_percent: At most this share of the captions keeps an emotion that the verifier would have changed.
            tau: Ask above this score.
            first_30_s: Take the first 30 s of a longer recording instead of refusing it.
            link: Emulate a slower network to the verifier: none, lan, wifi, 4g, far, satellite, or figures such as
                rtt=100,jitter=10,up=5,down=20 (ms and Mbit/s).
        """
        call, results = f"api-{uuid4().hex}", ResultBuilder()
        with plainly(), self._recording(call, audio, first_30_s) as utterance:
            options = _options(language, mode, preset, budget_percent, promise_percent, tau)
            for event in self._events(call, utterance, options, _conditions(link, mode)):
                results.feed(event)
                yield event_to_dict(event)
            yield results.result().to_dict()

    def speech(self, audio: FileData, first_30_s: bool = False) -> dict[str, Any]:
        """Look at a recording without captioning it: its length in seconds, its level, and warnings in plain words.

        Args:
            audio: A sound or video file of at most 30 s.
            first_30_s: Take the first 30 s of a longer recording instead of refusing it.
        """
        with plainly(), self._recording(f"api-{uuid4().hex}", audio, first_30_s) as utterance:
            heard = listened(utterance)
            return {name: getattr(heard, name) for name in ("duration_s", "level_dbfs", "peak_dbfs", "warnings")}

    def what_if(self, trace: list[dict], tau: float) -> dict[str, Any]:
        """Count what another threshold would have sent on a recorded run, without running anything.

        Gives blocks and tokens, of how many, and the highest score of any block.

        Args:
            trace: The events of a run, as caption streams them or as the lines of a trace file hold them.
            tau: The threshold, in the unit of the gate's score.
        """
        with plainly():
            found = would_escalate(_read(trace), float(tau))
            return {name: getattr(found, name) for name in found.__slots__}

    @contextmanager
    def _recording(self, call: str, audio: Any, first_30_s: bool) -> Iterator[Utterance]:
        """The recording of a call; the file is forgotten when the call ends."""
        path = _uploaded(audio)
        self._recordings.hold(call, str(path))
        try:
            yield load_utterance(path, first_30_s=first_30_s)
        finally:
            self._recordings.leave(call)

    def _events(
        self, call: str, utterance: Utterance, options: DecodingOptions, link: Conditions = AS_IS
    ) -> Iterator[Event]:
        """The events of a caption; one that nobody reads any more is stopped."""
        try:
            for update in self._runs.caption(call, utterance, options, link):
                yield from update.events
                if update.error is not None:
                    raise update.error
        finally:
            self._runs.stop(call)


@contextmanager
def plainly() -> Iterator[None]:
    """Errors as sentences for the client; what is not meant for people stays in the log."""
    try:
        yield
    except UgsdError as error:
        raise gr.Error(str(error), print_exception=False) from error
    except Exception as error:
        _log.exception("a call failed")
        raise gr.Error(say("en", "status.failed"), print_exception=False) from error


def _uploaded(audio: Any) -> Path:
    """Where an uploaded file lies.

    Raises:
        AudioError: If the client named something else, such as a file of this machine.
    """
    named = audio.get("path") if isinstance(audio, dict) else None
    path = Path(named).resolve() if isinstance(named, str) else None
    if path is None or not path.is_relative_to(Path(get_upload_folder()).resolve()):
        raise AudioError("audio is an uploaded file; upload it first and name what the upload gave.", "missing")
    return path


def _options(
    language: str, mode: str, name: str, budget: float | None, promise: float | None, tau: float | None
) -> DecodingOptions:
    """The settings of a call.

    Raises:
        OptionError: If a value has no meaning, or two limits were named.
    """
    if sum(limit is not None for limit in (budget, promise, tau)) > 1:
        raise OptionError("budget_percent, promise_percent and tau set the same threshold; give one of them")
    shares = {key: value / 100 for key, value in (("budget", budget), ("promise", promise)) if value is not None}
    return preset(name, language=language, mode=mode, tau=tau, **shares)


def _conditions(link: str, mode: str) -> Conditions:
    """The emulated link of a call; none where the edge is alone.

    Raises:
        OptionError: If it has no meaning.
    """
    found = Conditions.parse(link)
    return AS_IS if mode == "edge" else found


def _read(trace: Any) -> list[Event]:
    """The events of a trace; its header may stand before them.

    Raises:
        TraceError: If it is none.
    """
    if not isinstance(trace, list) or not all(isinstance(record, dict) for record in trace):
        raise TraceError("trace is a list of events, each an object with its kind")
    return [event_from_dict(record) for record in trace if "ugsd_trace" not in record]
