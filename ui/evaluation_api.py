"""The functions for programs around evaluations: list runs, read one's figures, start one, see how far it is, stop it.

Made as those of `ui.api` are; ``docs/api.md`` shows how to call them.
"""

from __future__ import annotations

from typing import Any, Literal

import gradio as gr

from ugsd_core.corpora import FORMATS
from ugsd_core.errors import OptionError
from ui.api import plainly
from ui.evaluation_check import Check, Wanted, check
from ui.evaluation_jobs import JobState
from ui.evaluation_parts import Services
from ui.evaluation_start import StartCards

__all__ = ["EvaluationEndpoints", "build_evaluation_api"]


def build_evaluation_api(services: Services, start: StartCards) -> None:
    """Add the endpoints to the open Blocks; those that start and stop only where there is an engine."""
    endpoints = EvaluationEndpoints(services, start)
    gr.api(endpoints.runs, api_name="runs", concurrency_limit=4)
    gr.api(endpoints.run_figures, api_name="run_figures", concurrency_limit=4)
    gr.api(endpoints.corpora, api_name="corpora", concurrency_limit=4)
    if services.jobs is not None:
        gr.api(endpoints.evaluate, api_name="evaluate", concurrency_limit=1)
        gr.api(endpoints.evaluation, api_name="evaluation", concurrency_limit=4)
        gr.api(endpoints.stop_evaluation, api_name="stop_evaluation", concurrency_limit=4)


class EvaluationEndpoints:
    """What programs may call. Everything that goes wrong is a `gr.Error` with one sentence."""

    def __init__(self, services: Services, start: StartCards) -> None:
        self._services, self._start = services, start

    def runs(self) -> list[dict[str, Any]]:
        """List the evaluations that are kept here, the newest first.

        Each has its name, corpus, language and systems, how many captions are done, and of how many.
        """
        with plainly():
            return [
                {
                    "name": entry.name,
                    "corpus": entry.corpus,
                    "language": entry.language,
                    "systems": list(entry.systems),
                    "done": entry.done,
                    "total": entry.total,
                }
                for entry in self._services.folders.listed()
            ]

    def run_figures(self, run: str) -> dict[str, Any]:
        """Give the figures of an evaluation: metrics with intervals and signatures, ratios, bytes, clocks.

        Both parts are empty before the run was scored.

        Args:
            run: Its name, as runs lists it.
        """
        with plainly():
            opened = self._services.folders.open(run)
            return {"metrics": opened.metrics, "timings": opened.timings}

    def corpora(self) -> list[dict[str, str]]:
        """List the corpora that can be evaluated: each has a key and a name."""
        with plainly():
            return [{"key": place.key, "name": place.name} for place in self._services.places.listed()]

    def evaluate(
        self,
        corpus: str,
        systems: list[str],
        language: Literal["en", "zh"] = "en",
        format: str = "",
        limit: int = 0,
        anew: bool = False,
    ) -> dict[str, Any]:
        """Start an evaluation in the background, or go on with one that was stopped; one runs at a time.

        Gives where it stands, as evaluation does, and in notes what a person should know of the corpus.

        Args:
            corpus: Its key, as corpora lists it.
            systems: Names of systems, such as edge, cloud, ugsd and paper.
            language: Language of the captions.
            format: mer2024, secap or manifest; empty recognises it.
            limit: At most so many clips; 0 takes all.
            anew: Do not go on with a run of the same settings.
        """
        with plainly():
            if format and format not in FORMATS:
                raise OptionError(f"there is no corpus format {format!r}; the formats are {', '.join(FORMATS)}")
            if language not in ("en", "zh"):
                raise OptionError(f"captions are written in 'en' or 'zh', not {language!r}")
            wanted = Wanted(corpus, format, language, max(0, int(limit)), tuple(map(str, systems)), bool(anew))
            found = check(self._services, wanted)
            state = self._start.begin(found)
            if state is None:
                raise OptionError(_against(found))
            return _told(state) | {"notes": [item.text("en") for item in found.items if item.state != "ok"]}

    def evaluation(self) -> dict[str, Any]:
        """Tell how far the evaluation is that runs, or ran last; its phase is none before the first."""
        with plainly():
            jobs = self._services.jobs
            return {"phase": "none"} if jobs is None or jobs.state is None else _told(jobs.state)

    def stop_evaluation(self) -> dict[str, Any]:
        """Stop the evaluation that runs; every caption that is whole is kept, and starting it again goes on there."""
        with plainly():
            jobs = self._services.jobs
            if jobs is None or jobs.state is None:
                return {"phase": "none"}
            jobs.stop()
            state = jobs.wait(30.0)
            assert state is not None
            return _told(state)


def _against(found: Check) -> str:
    return " ".join(item.text("en") for item in found.items if item.state == "bad")


def _told(state: JobState) -> dict[str, Any]:
    return {
        "run": state.run,
        "phase": state.phase,
        "done": state.done,
        "total": state.total,
        "eta_s": state.eta_s,
        "failed": state.failed,
        "error": None if state.error is None else str(state.error),
    }
