"""Writers that share a commit: nobody is told too early, and nobody pays for another's mistake."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, create_engine, event

from ugsd_core.annotations.group_commit import MOST, GroupCommit


class World:
    """A database with one table; commits can be held up or made to fail."""

    def __init__(self, path: Path) -> None:
        self.engine: Engine = create_engine(f"sqlite:///{path}", connect_args={"isolation_level": None})
        self.commits, self.fail = 0, False
        with self.engine.connect() as connection:
            connection.exec_driver_sql("CREATE TABLE notes (word TEXT)")
        event.listen(self.engine, "commit", self.on_commit)
        self.group = GroupCommit(self.begin)

    def begin(self) -> Connection:
        connection = self.engine.connect()
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        return connection

    def on_commit(self, connection: Connection) -> None:
        self.commits += 1
        if self.fail:
            raise OSError("the disk is gone")

    def write(self, word: str) -> None:
        with self.group.turn() as connection:
            connection.exec_driver_sql("INSERT INTO notes VALUES (?)", (word,))

    def words(self) -> list[str]:
        with self.engine.connect() as connection:
            return [row[0] for row in connection.exec_driver_sql("SELECT word FROM notes ORDER BY word")]

    @contextmanager
    def together(self, *calls: Callable[[], None]) -> Iterator[list[str]]:
        """Have all calls wait for their turn while the block runs; then what became of each, in any order."""
        outcomes: list[str] = []

        def run(call: Callable[[], None]) -> None:
            try:
                call()
                outcomes.append("done")
            except Exception as error:
                outcomes.append(type(error).__name__)

        threads = [threading.Thread(target=run, args=(call,)) for call in calls]
        with self.group.turn():
            for thread in threads:
                thread.start()
            while self.group._waiting < len(calls):
                time.sleep(0.001)
            yield outcomes
        for thread in threads:
            thread.join()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "a.db")
    yield made
    made.engine.dispose()


def test_writers_that_come_together_share_a_commit(world: World) -> None:
    with world.together(*(lambda word=str(n): world.write(word) for n in range(5))) as outcomes:
        assert outcomes == []
    assert outcomes == ["done"] * 5 and world.words() == list("01234")
    assert world.commits == 1


def test_one_who_comes_alone_waits_for_nobody(world: World) -> None:
    world.write("a")
    assert world.words() == ["a"] and world.commits == 1


def test_a_turn_that_fails_takes_only_itself_back(world: World) -> None:
    def fail() -> None:
        with world.group.turn() as connection:
            connection.exec_driver_sql("INSERT INTO notes VALUES ('never')")
            raise ZeroDivisionError

    with world.together(lambda: world.write("a"), fail, lambda: world.write("b"), fail) as outcomes:
        pass
    assert sorted(outcomes) == ["ZeroDivisionError", "ZeroDivisionError", "done", "done"]
    assert world.words() == ["a", "b"]


def test_a_commit_that_fails_is_success_for_nobody(world: World) -> None:
    with (
        pytest.raises(OSError, match="gone"),
        world.together(lambda: world.write("a"), lambda: world.write("b")) as outcomes,
    ):
        world.fail = True
    for _ in range(1_000):
        if len(outcomes) == 2:
            break
        time.sleep(0.005)
    assert outcomes == ["OSError", "OSError"]
    world.fail = False
    assert world.words() == []
    world.write("c")
    assert world.words() == ["c"]


def test_nobody_is_told_before_the_commit(world: World) -> None:
    seen: list[list[str]] = []

    def write_and_look(word: str) -> None:
        world.write(word)
        seen.append(world.words())  # by another connection: what is committed

    with world.together(*(lambda word=str(n): write_and_look(word) for n in range(4))):
        pass
    assert all(words == list("0123") for words in seen) and len(seen) == 4


def test_a_crowd_does_not_keep_the_first_waiting_for_ever(world: World) -> None:
    crowd = MOST * 2
    with world.together(*(lambda word=f"{n:03d}": world.write(word) for n in range(crowd))) as outcomes:
        pass
    assert outcomes == ["done"] * crowd and len(world.words()) == crowd
    assert world.commits == 3  # the one who held the door is in the first


def test_a_transaction_that_the_database_took_back_fails_for_all_in_it(world: World) -> None:
    def lose() -> None:
        with world.group.turn() as connection:
            connection.exec_driver_sql("ROLLBACK")  # what SQLite does by itself on a full disk
            raise MemoryError

    with (
        pytest.raises(Exception, match="savepoint"),
        world.together(lose) as outcomes,
        world.engine.connect(),
    ):
        pass
    assert world.words() == []
    world.write("after")
    assert world.words() == ["after"]
    assert len(outcomes) == 1


def test_being_alone_means_that_nothing_is_open(world: World) -> None:
    world.write("a")
    with world.group.alone(), world.engine.connect() as connection:
        connection.exec_driver_sql("VACUUM")


def test_a_door_that_does_not_open_is_not_stuck(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Connection:
        raise OSError("busy")

    begin = world.group._begin
    monkeypatch.setattr(world.group, "_begin", refuse)
    with pytest.raises(OSError):
        world.write("a")
    monkeypatch.setattr(world.group, "_begin", begin)
    world.write("b")
    assert world.words() == ["b"]
