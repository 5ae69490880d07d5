"""Turns, cancelling, coalescing: the thread that runs captions."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

from tests.ui.fake_engine import FakeEngine, english
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.messages import Event
from ugsd_core.options import preset
from ui.language import Locale
from ui.runs import UPDATES_PER_S, Runs, Update
from ui.speech import Speech
from ui.view import RunView, status_html
from ui.visits import Visits

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


def finished(locale: Locale, script: list[Event] | None = None) -> RunView:
    view = RunView(locale)
    view.feed(Update(events=tuple(script or english())))
    return view


def test_a_run_is_told_in_the_visitors_language_and_again_in_another() -> None:
    english_view, chinese_view = finished("en"), finished("zh")
    assert english_view.line("en").text.startswith("Finished.") and english_view.line("zh").text.startswith("完成")
    again = english_view.translate("zh")
    assert again == chinese_view.translate("zh") and again != finished("en").translate("en")
    assert list(again) == ["tiles", "waterfall", "tables", "ledger"]


def test_what_comes_after_a_switch_comes_in_the_new_language() -> None:
    view, events = RunView("en", clock=lambda: 0.0), english()
    assert "Listening" in (view.feed(Update(events=(events[0],))).status or "")
    view.translate("zh")
    shown = view.feed(Update(events=tuple(events[1:])))
    assert "完成" in (shown.status or "") and "发送的词元" in (shown.tiles or "") and "留在本机" in (shown.ledger or "")


def test_waiting_stopping_and_failing_are_told_in_both_languages() -> None:
    waiting = RunView()
    waiting.feed(Update(ahead=2))
    assert "2 captions" in waiting.line("en").text and "2 条描述" in waiting.line("zh").text
    assert "appears here" in waiting.translate("en")["waterfall"]
    stopped = RunView()
    stopped.feed(Update(events=tuple(english()[:5])))
    stopped.feed(Update(stopped=True))
    assert stopped.line("zh").text == "已停止。此处内容并非完成的描述。"
    failed = RunView()
    failed.feed(Update(error=VerifierUnavailable("No such <b>sentence</b>")))
    line = failed.line("zh")
    assert status_html(line) == (
        '<span class="tone bad"><span lang="en">No such &lt;b&gt;sentence&lt;/b&gt;.</span></span>'
    )
    failed.feed(Update(error=ZeroDivisionError("division by zero")))
    assert failed.line("zh").text == "程序出了错，原因见程序日志，请重试。"


def test_a_visit_says_what_was_last_of_recording_and_run() -> None:
    visits = Visits()
    visit = visits.of("a")
    assert visits.of("a") is visit and visits.of("b") is not visit
    assert "press Caption" in visit.line("en").text and visit.line("zh").text.startswith("请录制")
    visit.hears(Speech(duration_s=2.0))
    assert visit.line("zh").text == "就绪，请按“生成描述”。"
    visit.shows(finished("en"))
    assert visit.line("zh").text.startswith("完成")
    visit.hears(Speech())
    assert visit.line("zh").text.startswith("请录制") and visit.view is not None
    visits.leave("a")
    visits.leave("nobody")
    assert visits.of("a") is not visit
