"""Evaluations from a program: corpora, start, progress, stop, runs and their figures."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError

from tests.browser.conftest import serving
from tests.ui.bad_corpora import make_bad_corpora


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    log = tmp_path_factory.mktemp("api") / "log"
    make_bad_corpora(log.parent / "corpora")
    command = ["-m", "tests.ui.fake_engine", "0", "english", "0.001", str(log.parent / "corpora")]
    with serving(command, log) as address:
        client = Client(address, verbose=False, download_files=False)
        try:
            yield client
        finally:
            client.close()


def ended(client: Client) -> dict[str, Any]:
    while True:
        state = client.predict(api_name="/evaluation")
        if state["phase"] not in ("captioning", "scoring"):
            return state
        time.sleep(0.2)


def test_a_program_evaluates_a_corpus_and_reads_its_figures(client: Client) -> None:
    assert client.predict(api_name="/evaluation") == {"phase": "none"}
    keys = {one["name"]: one["key"] for one in client.predict(api_name="/corpora")}
    begun = client.predict(keys["fine"], ["edge", "ugsd"], "en", limit=3, api_name="/evaluate")
    assert begun["phase"] == "captioning" and any("6 captions" in note for note in begun["notes"])
    state = ended(client)
    assert (state["phase"], state["done"], state["total"], state["error"]) == ("done", 6, 6, None)
    listed = client.predict(api_name="/runs")
    assert [run["name"] for run in listed] == [state["run"]] and listed[0]["systems"] == ["edge", "ugsd"]
    figures = client.predict(state["run"], api_name="/run_figures")
    assert set(figures["metrics"]["systems"]) == {"edge", "ugsd"} == set(figures["timings"]["systems"])
    more = client.predict(keys["fine"], ["edge", "ugsd", "cloud"], "en", limit=3, api_name="/evaluate")
    assert more["run"] == state["run"], "it goes on in the same folder, with a further system"
    assert ended(client)["done"] == 9


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (("server/0/no-audio", ["edge"]), "Not one recording was found"),
        (("server/0/wrong-columns", ["edge"]), "column"),
        (("/etc", ["edge"]), "no such corpus"),
        (("server/0/fine", ["best"]), "no system 'best'"),
        (("server/0/fine", []), "at least one system"),
        (("server/0/fine", ["edge"], "fr"), "'en' or 'zh'"),
        (("server/0/fine", ["edge"], "en", "csv"), "no corpus format"),
    ],
)
def test_what_stands_against_it_is_told(client: Client, values: tuple[Any, ...], said: str) -> None:
    with pytest.raises(AppError) as error:
        client.predict(*values, api_name="/evaluate")
    assert said in str(error.value)


def test_a_run_that_is_not_there_is_a_sentence(client: Client) -> None:
    for name in ("none", "../../etc", ""):
        with pytest.raises(AppError, match="there is no run"):
            client.predict(name, api_name="/run_figures")
