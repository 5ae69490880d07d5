"""The page's functions as programs call them, on a page in a process of its own."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client, handle_file
from gradio_client.exceptions import AppError

from tests.browser.conftest import CLIP, Served, serving
from tests.ui.fake_engine import english, mandarin
from ugsd_core.audio import load_utterance
from ugsd_core.messages import Event, event_from_dict, event_to_dict
from ugsd_core.options import preset
from ugsd_core.result import caption_result
from ugsd_core.what_if import would_escalate


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    log = tmp_path_factory.mktemp("api") / "log"
    with serving(["-m", "tests.ui.fake_engine", "0", "english", "0.005"], log) as address:
        yield address


@pytest.fixture(scope="module")
def client(page: Served) -> Iterator[Client]:
    with connected(page) as client:
        yield client


@contextmanager
def connected(page: Served) -> Iterator[Client]:
    client = Client(page, verbose=False, download_files=False)
    try:
        yield client
    finally:
        client.close()


def streamed(client: Client, **values: Any) -> list[dict[str, Any]]:
    """All objects of a caption, the result last."""
    values.setdefault("audio", handle_file(CLIP))
    return list(client.submit(api_name="/caption", **values))


def plain(value: Any) -> Any:
    """As JSON gives it back."""
    return json.loads(json.dumps(value))


def recorded(events: list[Event]) -> list[dict[str, Any]]:
    return [plain(event_to_dict(event)) for event in events]


def test_every_endpoint_says_what_it_takes_and_the_page_keeps_its_own_to_itself(client: Client) -> None:
    told = client.view_api(return_format="dict", print_info=False)
    evaluations = {"/corpora", "/evaluate", "/evaluation", "/run_figures", "/runs", "/stop_evaluation"}
    assert set(told["named_endpoints"]) == {"/caption", "/speech", "/what_if"} | evaluations
    assert not told["unnamed_endpoints"]
    caption = told["named_endpoints"]["/caption"]
    assert caption["description"].startswith("Caption how somebody sounds in a recording.")
    types = {entry["parameter_name"]: entry["python_type"]["type"] for entry in caption["parameters"]}
    assert list(types) == [
        "audio", "language", "mode", "preset", "budget_percent", "promise_percent", "tau", "first_30_s", "link"
    ]  # fmt: skip
    assert types["mode"] == "Literal['ugsd', 'edge', 'cloud']" and types["tau"] == "None | float"
    assert [entry["parameter_has_default"] for entry in caption["parameters"]] == [False] + 8 * [True]


def test_a_caption_streams_its_events_in_order_and_ends_with_the_result(client: Client) -> None:
    *events, result = streamed(client)
    first, *rest = recorded(english())
    options = preset("default").to_dict()
    assert events[0] == first | {"utterance_id": load_utterance(CLIP).id, "options": plain(options)}
    assert events[1:] == rest
    assert result == plain(caption_result([event_from_dict(event) for event in events]).to_dict())
    assert result["caption"].strip().endswith("sorrowful.")


def test_language_and_limits_reach_the_engine(client: Client) -> None:
    *events, result = streamed(client, language="zh", budget_percent=3, preset="paper")
    assert recorded(mandarin())[1:] == events[1:]
    assert result["options"] == plain(preset("paper", language="zh", budget=0.03).to_dict())
    assert streamed(client, mode="edge", promise_percent=20)[-1]["options"]["promise"] == 0.2
    assert streamed(client, tau=0.7)[-1]["options"]["tau"] == 0.7


def test_a_call_has_an_emulated_link_of_its_own(client: Client) -> None:
    first, *_, result = streamed(client, link="rtt=100,up=5")
    assert first["link"] == result["link"] == "rtt=100,up=5"
    assert streamed(client, link="satellite", mode="edge")[-1]["link"] == streamed(client)[-1]["link"] == ""
    assert "a link is one of none, lan, wifi" in refused(client, handle_file(CLIP), link="moon", api_name="/caption")


def test_a_recording_is_looked_at_and_its_file_forgotten(client: Client, page: Served) -> None:
    found = client.predict(handle_file(CLIP), api_name="/speech")
    utterance = load_utterance(CLIP)
    assert found == {
        "duration_s": utterance.duration_s,
        "level_dbfs": utterance.level_dbfs,
        "peak_dbfs": utterance.peak_dbfs,
        "warnings": list(utterance.warnings),
    }
    streamed(client)
    assert [path for path in page.folder.glob("ugsd-uploads-*/**/*") if path.is_file()] == []


def test_another_threshold_is_tried_on_a_recorded_run(client: Client) -> None:
    events = streamed(client)[:-1]
    expected = asdict(would_escalate(english(), 0.4))
    assert client.predict(events, 0.4, api_name="/what_if") == expected
    header = {"ugsd_trace": 1, "version": "0.1.0"}
    assert client.predict([header, *events], 0.4, api_name="/what_if") == expected


# ── What goes wrong ───────────────────────────────────────────────────────────────────────────────────────────────


def refused(client: Client, *values: Any, **named: Any) -> str:
    with pytest.raises(AppError) as error:
        client.predict(*values, **named)
    return str(error.value)


def test_what_goes_wrong_is_one_sentence(client: Client, tmp_path: Path) -> None:
    notes = tmp_path / "notes.wav"
    notes.write_bytes(b"these are notes, not sound" * 50)
    assert refused(client, handle_file(notes), api_name="/caption").startswith("notes.wav")
    assert refused(client, handle_file(notes), api_name="/speech").startswith("notes.wav")
    clip = handle_file(CLIP)
    assert "give one of them" in refused(client, clip, tau=1, budget_percent=2, api_name="/caption")
    assert "there is no preset 'best'" in refused(client, clip, preset="best", api_name="/caption")
    assert "mode is" in refused(client, clip, mode="both", api_name="/caption")
    assert "unknown kind" in refused(client, [{"kind": "tea"}], 1.0, api_name="/what_if")
    assert "list of events" in refused(client, ["tea"], 1.0, api_name="/what_if")


@pytest.mark.parametrize("named", [str(CLIP), {"path": str(CLIP)}, {"path": "../app.py"}, None, 7])
def test_only_uploaded_files_are_read(client: Client, named: Any) -> None:
    assert "audio is an uploaded file" in refused(client, named, api_name="/speech")


# ── Turns ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_two_clients_take_turns_and_both_get_everything(page: Served) -> None:
    ready = threading.Barrier(2)

    def visit(_: int) -> list[dict[str, Any]]:
        with connected(page) as client:
            ready.wait(30)
            return streamed(client)

    with ThreadPoolExecutor(2) as pool:
        one, other = pool.map(visit, range(2))  # the engine refuses to write two captions at once
    assert one[1:-1] == other[1:-1] == recorded(english())[1:]


def test_a_call_that_is_cancelled_makes_room(page: Served) -> None:
    with connected(page) as client:
        job = client.submit(audio=handle_file(CLIP), api_name="/caption")
        next(job)
        job.cancel()
        assert streamed(client)[-1]["finish_reason"] == "end_of_turn"


# ── Without a client ──────────────────────────────────────────────────────────────────────────────────────────────


def test_plain_http_will_do(page: Served) -> None:
    body = json.dumps({"data": [recorded(english()), 0.4]}).encode()
    request = urllib.request.Request(f"{page}gradio_api/call/what_if", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        call = json.load(answer)["event_id"]
    with urllib.request.urlopen(f"{page}gradio_api/call/what_if/{call}", timeout=20) as answer:
        event, data = answer.read().decode().strip().split("\n")[-2:]
    assert event == "event: complete"
    assert json.loads(data.removeprefix("data: ")) == [asdict(would_escalate(english(), 0.4))]
