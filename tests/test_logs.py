"""What a line of the log holds, and what never gets into one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from ugsd_core.logs import JsonLines, TextLines, adopt, set_up, told

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """Logging belongs to the process: what a test sets up goes again."""
    root, ours = logging.getLogger(), logging.getLogger("ugsd_core")
    before = (list(root.handlers), root.level, ours.level)
    yield
    root.handlers[:], root.level = before[0], before[1]
    ours.setLevel(before[2])
    logging.captureWarnings(False)


def line(form: logging.Formatter, message: str, *args: object, name: str = "ugsd_core.x", **kinds: Any) -> str:
    logger = logging.Logger(name)
    return form.format(
        logger.makeRecord(name, logging.INFO, "f", 1, message, args, kinds.pop("exc_info", None), **kinds)
    )


def test_a_line_for_programs_is_one_object_with_time_level_event_and_fields() -> None:
    said = line(JsonLines(), "%d open.\n", 3, extra=told("session_began", session="ab", refusals={"busy": 2}))
    assert "\n" not in said
    found = json.loads(said)
    assert found["event"] == "session_began" and found["level"] == "info" and found["message"] == "3 open.\n"
    assert found["session"] == "ab" and found["refusals"] == {"busy": 2}
    assert __import__("re").fullmatch(TIME, found["time"])


def test_a_line_for_people_says_nothing_twice() -> None:
    said = line(TextLines(), "%d open.", 3, extra=told("session_began", session="ab", open=3, seconds=1.50))
    assert said.split(" ", 1)[1] == "info 3 open.  session=ab seconds=1.5"


@pytest.mark.parametrize("form", [JsonLines(), TextLines()])
def test_of_an_exception_its_kind_and_place_are_logged_and_never_its_text(form: logging.Formatter) -> None:
    try:
        raise ValueError("token 123456")
    except ValueError as error:
        said = line(form, "It failed.", exc_info=(type(error), error, error.__traceback__))
    assert "ValueError" in said and "test_logs.py" in said and "123456" not in said and "\n" not in said


def test_of_other_libraries_the_first_line_is_logged() -> None:
    message = "Task exception was never retrieved\nfuture: <Task exception=ValueError('token 123456')>"
    assert "123456" in line(TextLines(), message)
    said = line(JsonLines(), message, name="asyncio")
    assert "never retrieved" in said and "123456" not in said


def test_the_level_is_that_of_our_lines_and_others_log_warnings(capsys: pytest.CaptureFixture[str]) -> None:
    stream = io.StringIO()
    set_up("json", "debug", stream)
    library = logging.getLogger("library_of_test_logs")
    library.addHandler(logging.StreamHandler())
    library.propagate = False
    adopt(["library_of_test_logs"])
    logging.getLogger("ugsd_core.test_logs").debug("ours")
    library.debug("theirs")
    library.warning("theirs, urgent")
    messages = [json.loads(entry)["message"] for entry in stream.getvalue().splitlines()]
    assert messages == ["ours", "theirs, urgent"] and capsys.readouterr().err == ""
