from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.wire.fakes import EDGE, INFO, open_request, verify
from ugsd_core.errors import VerifierUnavailable
from ugsd_core.wire import process
from ugsd_core.wire.client import WebSocketLink
from ugsd_core.wire.process import VerifierProcess

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "tests.wire.fake_server"]

PARENT = f"""
import sys, time
from ugsd_core.wire.process import VerifierProcess
child = VerifierProcess(command={COMMAND!r})
print(child.pid, child.address, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


def gone(pid: int, within_s: float = 5.0) -> bool:
    """Whether a process ends; a zombie that nobody collects counts as ended."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            stat = Path(f"/proc/{pid}/stat")
            if stat.exists() and stat.read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (ProcessLookupError, FileNotFoundError):
            return True
        time.sleep(0.02)
    return False


def test_it_starts_announces_itself_answers_and_stops() -> None:
    with VerifierProcess(command=COMMAND, timeout_s=20) as child:
        assert child.alive and child.name == "fake" and child.address.startswith("ws://127.0.0.1:")
        with WebSocketLink(child.address) as link:
            assert link.connect(EDGE, {}) == INFO
    assert not child.alive and "loading" in child.stderr_tail
    assert "Traceback" not in child.stderr_tail and "Warning" not in child.stderr_tail
    child.stop()


def test_it_starts_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with VerifierProcess(command=COMMAND, timeout_s=20) as child:
        assert child.alive


def test_a_verifier_killed_mid_wait_is_noticed_at_once() -> None:
    with VerifierProcess(["slow"], command=COMMAND, timeout_s=20) as child, WebSocketLink(child.address) as link:
        link.connect(EDGE, {})
        link.open(open_request())
        link.opened("u", 5.0)
        timer = threading.Timer(0.1, os.kill, (child.pid, signal.SIGKILL))
        timer.start()
        began = time.monotonic()
        with pytest.raises(VerifierUnavailable):
            link.judge(verify("u", 0, (1,)), 30.0)
        assert time.monotonic() - began < 1.5
        timer.join()
        assert gone(child.pid)


def test_it_dies_with_a_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        line = parent.stdout.readline().split()
        assert line, "the parent did not start"
        pid = int(line[0])
        parent.kill()
        assert gone(pid)


def test_one_that_fails_says_why() -> None:
    with pytest.raises(VerifierUnavailable, match="no checkpoint at /nowhere"):
        VerifierProcess(["fail"], command=COMMAND, timeout_s=20)


def test_one_that_says_nothing_is_given_up() -> None:
    with pytest.raises(VerifierUnavailable, match=r"within 0\.3 s"):
        VerifierProcess(["silent"], command=COMMAND, timeout_s=0.3)


def test_one_that_says_something_else() -> None:
    with pytest.raises(VerifierUnavailable, match="where it listens"):
        VerifierProcess(["babble"], command=COMMAND, timeout_s=20)


def test_a_program_that_does_not_exist() -> None:
    with pytest.raises(VerifierUnavailable, match="could not be started"):
        VerifierProcess(command=["/nowhere/at/all"])


def test_one_that_ignores_the_request_to_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "STOP_TIMEOUT_S", 0.2)
    child = VerifierProcess(["stubborn"], command=COMMAND, timeout_s=20)
    child.stop()
    assert not child.alive
