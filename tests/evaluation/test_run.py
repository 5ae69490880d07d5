from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.evaluation.worlds import FakeSource, captions, corpus, facts, plan_for, run_all
from tests.fakes import ScriptedDrafter, ScriptedVerifier
from tests.test_decoding import HIGH, LOW
from tests.tiny import utterance
from ugsd_core.captioner import Captioner
from ugsd_core.errors import OptionError, VerdictTimeout, VerifierUnavailable, WireError
from ugsd_core.evaluation import clip_work
from ugsd_core.evaluation.clip_line import connection_lost
from ugsd_core.evaluation.folder import RunFolder, file_name
from ugsd_core.evaluation.plan import Step
from ugsd_core.evaluation.records import CLIPS_FILE, MANIFEST_FILE, ClipLine
from ugsd_core.evaluation.run import chosen_clips, evaluate
from ugsd_core.evaluation.source import SystemSource
from ugsd_core.messages import Verdict, VerifyRequest
from ugsd_core.options import DecodingOptions
from ugsd_core.result import caption_result
from ugsd_core.traces import read_trace
from ugsd_core.verifier import LocalLink, Verifier


def manifest(folder: Path) -> dict:
    return json.loads((folder / MANIFEST_FILE).read_text(encoding="utf-8"))


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clip_work, "RETRY_AFTER_S", 0.0)


BUDGETED = "kept: preset=default gate=entropy tau=1 budget=0.1 acceptance=rank cut=none"


def test_every_clip_gets_a_line_from_every_system(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path), "edge,cloud,speculative")
    steps = run_all(plan)
    assert (steps[0].done, steps[0].line, steps[-1].done, steps[-1].total) == (0, None, 12, 12)
    lines = captions(plan.folder)
    assert {line.key for line in lines} == {(f"c{n}", s) for n in range(4) for s in ("edge", "cloud", "speculative")}
    assert [step.line for step in steps[1:]] == lines
    one = lines[1]
    assert one.references == ("Reference 0.",) and one.path == "audio/c0.wav" and one.label == "sad"
    assert one.duration_s == 0.5 and one.bytes["waveform"] == 16_000 and one.wall_s is not None
    by_system = {line.system: line.hypothesis for line in lines}
    assert by_system["cloud"] == by_system["speculative"] != by_system["edge"]
    assert manifest(plan.folder)["finished"] is not None


def test_systems_are_interleaved_forward_and_backward(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path), "edge,cloud,paper")
    source = FakeSource()
    run_all(plan, source)
    warm_up, asked = source.asked[:3], source.asked[3:]
    assert [name for name, _ in warm_up] == ["edge", "cloud", "paper"]
    assert [name for name, _ in asked] == ["edge", "cloud", "paper", "paper", "cloud", "edge"] * 2
    assert [line.order for line in captions(plan.folder)] == [0, 1, 2] * 4


def test_traces_fold_to_what_the_lines_say(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 1), "edge,paper")
    run_all(plan)
    for line in captions(plan.folder):
        assert line.trace == f"traces/{line.system}/c0.jsonl"
        result = caption_result(read_trace(plan.folder / line.trace))
        assert (result.caption, result.token_ids) == (line.hypothesis, line.token_ids)
    bare = plan_for(tmp_path / "bare", corpus(tmp_path, 1), "edge", traces=False)
    run_all(bare)
    assert captions(bare.folder)[0].trace is None and not (bare.folder / "traces").exists()


def test_odd_ids_get_file_names_of_their_own() -> None:
    odd = ("a/b", "a_b", "../up", "声音", "声", ".hidden", "x" * 300, "a b", "CON ", "")
    names = [file_name(clip) for clip in odd]
    assert len(set(names)) == len(odd)
    assert all("/" not in name and not name.startswith(".") and len(name) <= 80 for name in names)
    assert file_name("03-01-02.wav") == "03-01-02.wav"


def test_a_clip_that_cannot_be_read_loses_nothing_else(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 3, broken=(1,)), "edge,cloud")
    run_all(plan)
    lines = captions(plan.folder)
    failed = [line for line in lines if line.error is not None]
    assert {line.key for line in failed} == {("c1", "edge"), ("c1", "cloud")}
    assert all(line.hypothesis is None and "c1.wav" in str(line.error) for line in failed)
    assert len(lines) == 6
    assert run_all(plan)[0].done == 6, "a failure stands until its line is taken away"


def test_nothing_that_can_be_used_is_said(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 0))
    with pytest.raises(OptionError, match="no clip of 'small'"):
        run_all(plan)
    assert not (tmp_path / "run").exists()


def test_a_limit_draws_the_same_clips_and_a_larger_one_more(tmp_path: Path) -> None:
    of = corpus(tmp_path, 9)
    few = [clip.id for clip in chosen_clips(plan_for(tmp_path, of, limit=3))]
    more = [clip.id for clip in chosen_clips(plan_for(tmp_path, of, limit=6))]
    other = [clip.id for clip in chosen_clips(plan_for(tmp_path, of, limit=3, seed=1))]
    assert len(few) == 3 and set(few) < set(more) and few == sorted(few) and other != few
    assert len(chosen_clips(plan_for(tmp_path, of, limit=100))) == 9


# ── Stopping and going on ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("after", [0, 1, 4, 9, 13, 17, 19])
def test_resuming_equals_never_having_stopped(tmp_path: Path, after: int) -> None:
    of = corpus(tmp_path)
    names, own = "edge,paper,random", ("kept: " + BUDGETED.split(": ")[1], "chance: match=kept")
    whole = plan_for(tmp_path / "whole", of, names.replace("random", "ugsd,random"), own)
    run_all(whole)
    parts = plan_for(tmp_path / "parts", of, names.replace("random", "ugsd,random"), own)
    steps = evaluate(parts, FakeSource())
    for _ in range(after + 1):
        next(steps)
    steps.close()
    assert len(captions(parts.folder)) == after
    with (parts.folder / CLIPS_FILE).open("ab") as file:
        file.write(b'{"schema": 1, "id": "c')  # what a kill leaves
    again = run_all(parts)
    assert again[0].done == after and again[-1].done == again[-1].total == 24
    assert [facts(line) for line in captions(parts.folder)] == [facts(line) for line in captions(whole.folder)]
    assert manifest(parts.folder)["matched"] == manifest(whole.folder)["matched"]
    assert run_all(parts)[-1].line is None, "there is nothing left to do"


def test_a_budget_is_taken_up_where_it_was(tmp_path: Path) -> None:
    """The threshold of each caption depends on all before it."""
    of = corpus(tmp_path, 6)
    plan = plan_for(tmp_path / "run", of, "edge", (BUDGETED, "more: " + BUDGETED.split(": ")[1]))
    run_all(plan)
    thresholds = [line.scores[0][1] for line in captions(plan.folder) if line.system == "kept"]
    assert thresholds[0] == 1.0 and len(set(thresholds)) > 2
    others = [line.scores[0][1] for line in captions(plan.folder) if line.system == "more"]
    assert others == thresholds, "systems do not spend each other's budget"


def test_cancelling_between_tokens_drops_the_caption_under_way_alone(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path), "edge")
    since: list[int] = []  # events after the second step
    steps: list[Step] = []
    source = FakeSource(on_event=lambda: since.append(1) if len(steps) == 2 else None)
    for step in evaluate(plan, source, cancelled=lambda: len(since) > 5):
        steps.append(step)
    assert [step.done for step in steps] == [0, 1] and len(captions(plan.folder)) == 1
    assert manifest(plan.folder)["finished"] is None and manifest(plan.folder)["sessions"][0]["captions"] == 1
    assert run_all(plan)[-1].done == 4


def test_a_verifier_lost_once_is_asked_again_and_twice_stops_the_run(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 2), "cloud")
    run_all(plan, FakeSource(lost={2}))
    assert [line.error for line in captions(plan.folder)] == [None, None]
    other = plan_for(tmp_path / "other", corpus(tmp_path, 2), "cloud")
    with pytest.raises(VerifierUnavailable, match=r"'c1' by cloud .*resume with the same command"):
        run_all(other, FakeSource(lost={2, 3}))
    assert len(captions(other.folder)) == 1
    run_all(other)
    assert [facts(a) for a in captions(other.folder)] == [facts(a) for a in captions(plan.folder)]


def test_two_evaluations_do_not_write_one_folder(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 2), "edge")
    with RunFolder(plan.folder), pytest.raises(OptionError, match="another evaluation writes into"):
        run_all(plan)
    assert run_all(plan)[-1].done == 2


def test_systems_can_be_added_to_a_run(tmp_path: Path) -> None:
    of = corpus(tmp_path, 2)
    run_all(plan_for(tmp_path / "run", of, "edge,ugsd"))
    steps = run_all(plan_for(tmp_path / "run", of, "cloud,ugsd,random"))
    assert (steps[0].done, steps[-1].done) == (2, 6)
    kept = manifest(tmp_path / "run")
    assert [entry["name"] for entry in kept["systems"]] == ["edge", "ugsd", "cloud", "random"]
    assert kept["captions"] == 8 and len(captions(tmp_path / "run")) == 8 and kept["finished"] is not None


def test_another_run_in_the_folder_is_named_by_what_differs(tmp_path: Path) -> None:
    of = corpus(tmp_path, 3)
    plan = plan_for(tmp_path / "run", of, "edge,ugsd", ("mine: preset=paper tau=0.8",))
    run_all(plan)
    before = captions(plan.folder)

    def refused(sentence: str, changed: object = None, **changes: object) -> None:
        with pytest.raises(OptionError, match=sentence):
            run_all(changed or plan_for(tmp_path / "run", of, "edge", **changes))  # type: ignore[arg-type]

    refused(r"seed \(there 0, now 1\)", seed=1)
    refused(r"limit \(there none, now 2\)", limit=2)
    refused(r"corpus \(there 'small', now 'small'", plan_for(tmp_path / "run", corpus(tmp_path, 2), "edge"))
    refused("system mine .tau 0.8 → 0.7", plan_for(tmp_path / "run", of, "edge", ("mine: preset=paper tau=0.7",)))
    with pytest.raises(OptionError, match=r"edge checkpoint \(there 'fake-edge', now 'other'\)"):
        run_all(plan, FakeSource(checkpoint="other"))
    with pytest.raises(OptionError, match=r"link \(there none, now rtt=100\)"):
        run_all(plan, FakeSource(link="rtt=100"))
    assert captions(plan.folder) == before


def test_a_damaged_manifest_is_no_licence_to_start_anew(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 1), "edge")
    run_all(plan)
    (plan.folder / MANIFEST_FILE).write_text("{", encoding="utf-8")
    with pytest.raises(OptionError, match="is damaged"):
        run_all(plan)
    (plan.folder / MANIFEST_FILE).unlink()
    with pytest.raises(OptionError, match="captions without a manifest"):
        run_all(plan)


# ── Random gates and oracles ──────────────────────────────────────────────────────────────────────────────────────────


def test_a_random_gate_sends_as_much_as_its_system_on_average(tmp_path: Path) -> None:
    of = corpus(tmp_path, 40)
    plan = plan_for(
        tmp_path / "run", of, "edge", ("mine: gate=entropy tau=1 cut=none acceptance=rank", "r: match=mine")
    )
    run_all(plan, FakeSource(unsure={3: 2.0, 7: 1.5}))
    lines = captions(plan.folder)

    def rho(system: str) -> float:
        own = [line.counts for line in lines if line.system == system]
        return sum(entry["sent"] for entry in own) / sum(entry["drafted"] for entry in own)

    matched = manifest(plan.folder)["matched"]["r"]
    assert matched["transmission_rate"] == pytest.approx(rho("mine")) and matched["share_drawn_from"] == 1.0
    assert matched["escalation_probability"] == pytest.approx(rho("mine"), abs=1e-6)
    assert rho("r") == pytest.approx(rho("mine"), abs=0.1)
    assert {line.order for line in lines if line.system == "r"} == {2}, "behind all others"


def test_a_random_gate_among_emotions_draws_so_much_more_often(tmp_path: Path) -> None:
    own = ("mine: gate=entropy tau=1 acceptance=rank", "r: gate=random_emotion match=mine")
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 4), "edge", own)
    run_all(plan)
    matched = manifest(plan.folder)["matched"]["r"]
    assert 0.0 < matched["share_drawn_from"] < 1.0
    expected = min(1.0, matched["transmission_rate"] / matched["share_drawn_from"])
    assert matched["escalation_probability"] == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("rule", ["acceptance=greedy", "acceptance=rank rank=2", "acceptance=fused cut=emotion", "k=1"])
def test_an_oracle_never_asks_in_vain_and_has_no_clock(tmp_path: Path, rule: str) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 2), "edge,cloud", (f"top: gate=oracle {rule}",))
    run_all(plan)
    lines = [line for line in captions(plan.folder) if line.system == "top"]
    assert all(line.counts["blocks_changed"] == line.counts["escalations"] for line in lines)
    assert any(line.counts["escalations"] for line in lines)
    assert all(value is None for line in lines for value in (*line.clocks.values(), *line.resources.values()))
    assert all(
        line.wall_s is None and not any(line.blocks[n] for n in line.blocks if n.endswith("_ms")) for line in lines
    )
    if rule == "acceptance=greedy":
        cloud = [line.hypothesis for line in captions(plan.folder) if line.system == "cloud"]
        assert [line.hypothesis for line in lines] == cloud, "what changes nothing was not needed"


def test_the_manifest_says_under_which_conditions_it_was(tmp_path: Path) -> None:
    plan = plan_for(tmp_path / "run", corpus(tmp_path, 2), "edge,cloud")
    run_all(plan, notes={"command": "test"})
    found = manifest(plan.folder)
    assert found["corpus"] | {"sha256": ""} == {
        "name": "small",
        "format": "manifest",
        "sha256": "",
        "clips": 2,
        "usable": 2,
        "problems": {"missing_audio": 1},
    }
    assert {"cpu", "cores", "memory_gb"} <= set(found["machine"]) and {"python", "torch"} <= set(found["versions"])
    assert found["notes"] == {"command": "test"} and "noise" in found["warm_up"]
    entry = found["systems"][0]
    assert entry["definition"].endswith("nothing is sent.") and len(entry["options_sha256"]) == 64
    assert found["sessions"][0]["captions"] == 4 and found["sessions"][0]["outside_share"] is not None
    assert str(tmp_path) not in (plan.folder / MANIFEST_FILE).read_text(encoding="utf-8")


def test_processor_time_of_a_verifier_that_was_started_anew_is_not_known(tmp_path: Path) -> None:
    class Restarting(FakeSource):
        spent = iter((7.0, 1.0) * 9)

        def resources(self) -> dict[str, float | None]:
            return super().resources() | {"verifier_cpu_s": next(self.spent)}

    plan = plan_for(tmp_path / "run", corpus(tmp_path, 1), "cloud")
    run_all(plan, Restarting())
    assert captions(plan.folder)[0].resources["verifier_cpu_s"] is None
    assert captions(plan.folder)[0].resources["edge_cpu_s"] == 0.0


class LateLink(LocalLink):
    """Misses the deadline of some verdicts, counted over all."""

    def __init__(self, verifier: Verifier, late: set[int], asked: list[int]) -> None:
        super().__init__(verifier)
        self.late, self.asked = late, asked

    def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
        self.asked.append(len(self.asked))
        if self.asked[-1] in self.late:
            raise VerdictTimeout("too late")
        return super().judge(request, deadline_s)


def late_run(folder: Path, late: set[int]) -> list[ClipLine]:
    plan = plan_for(folder / "run", corpus(folder, 2), "edge", (BUDGETED.replace("budget=0.1", "budget=0.9"),))
    source, asked = FakeSource(unsure=dict.fromkeys(range(40), 2.0)), list[int]()
    source.inner = SystemSource(source.drafter, lambda: LateLink(source.verifier, late, asked))
    run_all(plan, source)
    return [line for line in captions(plan.folder) if line.system == "kept"]


def test_a_verdict_that_comes_too_late_once_leaves_no_trace(tmp_path: Path) -> None:
    usual = late_run(tmp_path / "a", set())
    assert all(line.counts["unverified"] == 0 for line in usual)
    again = late_run(tmp_path / "b", {3})  # the warm-up asks two or three times
    assert [facts(line) for line in again] == [facts(line) for line in usual], "budgets included"


def test_deadlines_that_are_missed_again_are_the_systems_own(tmp_path: Path) -> None:
    lines = late_run(tmp_path, set(range(3, 300)))
    assert all(line.counts["unverified"] > 0 and line.counts["lost"] == 1 for line in lines)
    assert any("missed 2 deadlines" in warning for warning in lines[0].warnings)


def test_a_broken_connection_is_told_from_missed_deadlines() -> None:
    options = DecodingOptions(gate="always", acceptance="greedy")

    def lost(error: WireError, after: int) -> str | None:
        class Link(LocalLink):
            count = 0

            def judge(self, request: VerifyRequest, deadline_s: float) -> Verdict:
                self.count += 1
                if self.count > after:
                    raise error
                return super().judge(request, deadline_s)

        return connection_lost(
            Captioner(ScriptedDrafter(LOW), Link(ScriptedVerifier(HIGH))).stream(utterance(0), options)
        )

    assert lost(VerifierUnavailable("gone"), 1) == "gone" and lost(VerifierUnavailable("gone"), 0) == "gone"
    assert lost(VerdictTimeout("late"), 0) is None and lost(VerdictTimeout("late"), 1) is None
    assert lost(VerdictTimeout("late"), 99) is None
