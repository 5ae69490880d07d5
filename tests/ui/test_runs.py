"""Turns, cancelling, coalescing: the thread that runs captions."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from tests.ui.fake_engine import FakeEngine, english
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.options import preset
from ui.runs import UPDATES_PER_S, Runs, Update
from ui.view import RunView

CLIP: Any = SimpleNamespace(id="u")
UGSD, EDGE = preset("default"), preset("default", mode="edge")


def until(condition: Any, timeout_s: float = 10.0) -> None:
    end = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end, "nothing happened in time"
        time.sleep(0.01)


def test_all_events_arrive_in_order_and_the_last_state_is_flushed() -> None:
    updates = list(Runs(FakeEngine()).caption("a", CLIP, UGSD))
    kinds = [event.kind for update in updates for event in update.events]
    assert kinds == [event.kind for event in english()]
    assert updates[-1].events[-1].kind == "caption_finished"


def test_updates_are_coalesced() -> None:
    began = time.monotonic()
    updates = [u for u in Runs(FakeEngine(pause_s=0.006)).caption("a", CLIP, UGSD) if u.events]
    took_s = time.monotonic() - began
    assert len(updates) < len(english())
    assert len(updates) <= UPDATES_PER_S * took_s + 2


def test_a_slow_page_does_not_hold_up_the_engine() -> None:
    engine = FakeEngine(gate=threading.Semaphore(3))
    updates = Runs(engine).caption("a", CLIP, UGSD)
    while not next(updates).events:
        pass
    engine.gate.release(500)
    until(lambda: engine.closed == 1)  # the stream ran to its end although nobody asked for more
    assert list(updates)[-1].events[-1].kind == "caption_finished"


def test_the_verifier_is_prepared_only_when_it_is_needed() -> None:
    engine = FakeEngine()
    runs = Runs(engine)
    list(runs.caption("a", CLIP, EDGE))
    assert engine.prepared == 0
    list(runs.caption("a", CLIP, UGSD))
    assert engine.prepared == 1


def test_stop_cancels_the_stream_and_says_so() -> None:
    engine = FakeEngine(gate=threading.Semaphore(6))
    runs = Runs(engine)
    seen: list[Update] = []
    for update in runs.caption("a", CLIP, UGSD):
        seen.append(update)
        if update.events and not seen[-1].stopped:
            runs.stop("a")
    assert seen[-1].stopped and engine.interrupted == 1
    engine.gate.release(50)
    until(lambda: engine.closed == 1)


def test_stop_of_one_session_leaves_the_other_alone() -> None:
    engine = FakeEngine()
    runs = Runs(engine)
    runs.stop("nobody")
    updates = runs.caption("a", CLIP, UGSD)
    first = next(updates)
    runs.stop("b")
    kinds = [event.kind for update in [first, *updates] for event in update.events]
    assert kinds[-1] == "caption_finished" and engine.interrupted == 0


def test_a_second_visitor_waits_and_is_told_how_many_are_ahead() -> None:
    engine = FakeEngine(gate=threading.Semaphore(0))
    runs = Runs(engine)
    results: dict[str, list[Update]] = {"a": [], "b": []}

    def visit(name: str) -> None:
        results[name].extend(runs.caption(name, CLIP, UGSD))

    visitors = [threading.Thread(target=visit, args=(name,)) for name in ("a", "b")]
    visitors[0].start()
    until(lambda: len(engine.seen) == 1)
    visitors[1].start()
    until(lambda: any(update.ahead == 1 for update in list(results["b"])) or not visitors[1].is_alive())
    assert len(engine.seen) == 1
    engine.gate.release(500)
    for visitor in visitors:
        visitor.join(20)
    assert all(updates[-1].events[-1].kind == "caption_finished" for updates in results.values())


def test_a_visitor_who_leaves_the_queue_does_not_block_it() -> None:
    engine = FakeEngine(gate=threading.Semaphore(0))
    runs = Runs(engine)
    first = runs.caption("a", CLIP, UGSD)
    worker = threading.Thread(target=lambda: list(first))
    worker.start()
    until(lambda: len(engine.seen) == 1)
    waiting = runs.caption("b", CLIP, UGSD)
    assert next(waiting).ahead == 1
    waiting.close()
    engine.gate.release(500)
    worker.join(20)
    assert list(runs.caption("c", CLIP, UGSD))[-1].events[-1].kind == "caption_finished"


def test_an_error_comes_as_the_last_update_and_the_next_run_works() -> None:
    engine = FakeEngine(fails=2)
    runs = Runs(engine)
    last = list(runs.caption("a", CLIP, UGSD))[-1]
    assert isinstance(last.error, VerifierUnavailable)
    engine.fails = None
    assert list(runs.caption("a", CLIP, UGSD))[-1].error is None


def test_the_view_shows_errors_in_plain_words_and_hides_bugs() -> None:
    wire = RunView().feed(Update(error=VerifierUnavailable("no <b>verifier</b> there")))
    assert wire.status is not None and "No &lt;b&gt;verifier&lt;/b&gt; there." in wire.status and "bad" in wire.status
    bug = RunView().feed(Update(error=ZeroDivisionError("division by zero")))
    assert bug.status is not None and "division" not in bug.status


def test_the_view_draws_figures_rarely_but_always_at_the_end() -> None:
    view = RunView(clock=lambda: 0.0)
    shown = [view.feed(Update(events=(event,))) for event in english()]
    assert [part.tiles is not None for part in shown] == [True] + [False] * (len(shown) - 2) + [True]
    assert shown[-1].caption == english()[-1].caption


def test_a_stopped_view_has_no_finished_caption() -> None:
    view = RunView()
    view.feed(Update(events=tuple(english()[:-1])))
    shown = view.feed(Update(stopped=True))
    assert shown.caption is None and "Stopped" in (shown.status or "") and shown.strip is not None
    assert not shown.strip["live"]
