"""What other packages bring is used by name, is never in the way, and says whose it is when it fails."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tests.fakes import ScriptedDrafter, ScriptedVerifier, code, ids
from tests.plugins import PACKAGE, install, install_example
from tests.tiny import utterance
from tests.wire.fakes import serving
from ugsd_core import plugins
from ugsd_core.acceptance import ACCEPTANCE_RULES, acceptance_rule
from ugsd_core.captioner import Captioner
from ugsd_core.cli import main
from ugsd_core.corpora import FORMATS, read_corpus
from ugsd_core.decoding import decode
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import HandshakeRefused, OptionError, PluginError, ProtocolError
from ugsd_core.evaluation.systems import own_system
from ugsd_core.gate import GATES, follows_budget, gate, has_threshold, own_tau
from ugsd_core.messages import BlockEscalated, BlockKept
from ugsd_core.metrics import METRICS, CaptionPair, metric_names, score_pairs
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import distribution
from ugsd_core.verifier import LocalLink, TorchVerifier
from ugsd_core.wire.client import WebSocketLink

ROOT = Path(__file__).resolve().parents[1]
PAGE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
SCRIPT = ids("the", "voice", "is", "low", ".", "Therefore", "the", "speaker", "feels", "sad", ".", "<|im_end|>")
PAIRS = [CaptionPair("1", "a low low voice", ("a low voice",)), CaptionPair("2", "", ("sad",))]


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder on the path where plug-ins are installed; forgotten after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    plugins.forget()
    yield folder
    monkeypatch.undo()
    plugins.forget()
    for name in [name for name in sys.modules if name.startswith(("ugsd_plugin_example", "broken_"))]:
        del sys.modules[name]


@pytest.fixture
def example(site: Path) -> Path:
    """The package of the how-to, installed."""
    install_example(site)
    return site


def brings(site: Path, source: str, kind: str, name: str, *, owner: str = "broken-pack") -> None:
    """Install a module with an object ``IT`` under a name."""
    module = f"broken_{len(list(site.glob('*.py')))}"
    (site / f"{module}.py").write_text(source, encoding="utf-8")
    install(site, owner, {plugins.GROUPS[kind]: {name: f"{module}:IT"}})  # type: ignore[index]
    plugins.forget()


# ── The how-to ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_page_shows_the_package_to_the_letter() -> None:
    shown = dict(re.findall(r"<!-- file: (\S+) -->\n```\w+\n(.*?)\n```", PAGE, re.DOTALL))
    assert set(shown) == {
        "pyproject.toml",
        *(f"ugsd_plugin_example/{n}.py" for n in ("gate", "rule", "metric", "corpus")),
    }
    for name, text in shown.items():
        assert text == (PACKAGE / name).read_text(encoding="utf-8").rstrip(), name


def test_the_gate_of_the_page_has_about_twenty_lines() -> None:
    lines = (PACKAGE / "ugsd_plugin_example" / "gate.py").read_text(encoding="utf-8").splitlines()
    assert len([line for line in lines if line.strip()]) <= 20


def test_a_caption_by_a_plugins_gate_and_rule_over_the_wire_and_its_replay_without_them(tmp_path: Path) -> None:
    install_example(tmp_path)
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT)))}
    trace = tmp_path / "run.jsonl"
    words = ["caption", str(ROOT / "assets/examples/slow_low_en.flac"), "--gate", "long_words", "--tau", "6"]
    words += ["--acceptance", "near_best", "--trace", str(trace), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "ugsd_core.cli", *words], cwd=tmp_path, env=env, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    text = trace.read_text(encoding="utf-8")
    assert "has 7 letters" in text or "has 8 letters" in text or "has 9 letters" in text
    assert '"block_escalated"' in text and '"block_judged"' in text and '"verifier_lost"' not in text
    assert found["caption"]
    assert "long_words" not in GATES.names(), "this process has no such gate, and replays all the same"
    assert main(["replay", str(trace), "--quiet"]) == 0


# ── Gates ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def captioned(options: DecodingOptions) -> list[Any]:
    link = LocalLink(ScriptedVerifier(SCRIPT))
    return list(decode(code(), "aa", ScriptedDrafter(SCRIPT), link, options))


def test_a_plugins_gate_decides_follows_tau_and_can_be_joined(example: Path) -> None:
    assert GATES.names()[-1] == "long_words" and has_threshold("long_words") and own_tau("long_words") == 8.0
    events = captioned(DecodingOptions(gate="long_words", k=4))
    sent = [event for event in events if isinstance(event, BlockEscalated)]
    assert [event.score for event in sent] == [9.0] and sent[0].threshold == 8.0 and "Therefore" in sent[0].reason
    assert not [e for e in captioned(DecodingOptions(gate="long_words", tau=20)) if isinstance(e, BlockEscalated)]
    joined = captioned(DecodingOptions(gate="long_words+emotion_words", tau=20))
    assert len([event for event in joined if isinstance(event, BlockEscalated)]) == 1
    assert follows_budget("long_words+content") and gate(DecodingOptions(gate="long_words", budget=0.1))
    assert own_system("mine: gate=long_words tau=6").options.tau == 6.0


def test_an_unknown_gate_is_told_with_those_of_plugins(example: Path) -> None:
    with pytest.raises(OptionError, match=r"no gate 'long_wrods'.*always, long_words"):
        gate(DecodingOptions(gate="long_wrods"))


@pytest.mark.parametrize(
    ("source", "why"),
    [
        ("import nothing_of_this_name", "importing broken_0:IT failed .*nothing_of_this_name"),
        ("raise SystemExit(3)", "importing broken_0:IT failed .*SystemExit: 3"),
        ("IT = 7", "no class or function that makes a gate"),
        ("class IT:\n    pass", "no method decide"),
        ("class IT:\n    own_tau = 'high'\n    def decide(self, block): ...", "own_tau .* is 'high', not a number"),
        ("IT = lambda context: 7", "makes has no method decide"),
        ("IT = lambda context: 1 / 0", "failed with ZeroDivisionError"),
        ("class IT:\n    def __init__(self, context): ...\n    def decide(self, block): return 1", "gave a int"),
        ("class IT:\n    def __init__(self, context): ...\n    def decide(self, block): return {}['x']", "KeyError"),
        (
            "from ugsd_core.gate import GateDecision\n"
            "class IT:\n    def __init__(self, context): ...\n"
            "    def decide(self, block): return GateDecision(True, 'so', score=0.1, threshold=0.5)",
            "sent when the score is above the threshold",
        ),
    ],
)
def test_a_broken_gate_names_its_package_and_breaks_no_other(site: Path, source: str, why: str) -> None:
    brings(site, source, "gate", "bad")
    with pytest.raises(PluginError, match=rf"(?s)the gate 'bad' of broken-pack 0\.1 can't be used: .*{why}"):
        captioned(DecodingOptions(gate="bad"))
    assert gate(DecodingOptions(gate="entropy")) and set(GATES) >= set(GATES.builtin)


def test_numbers_of_any_library_become_plain_ones(site: Path) -> None:
    source = (
        "import numpy as np\nfrom ugsd_core.gate import GateDecision\n"
        "def IT(context):\n    class G:\n        def decide(self, block):\n"
        "            return GateDecision(np.bool_(False), 'so', np.float32(0.25), np.float64(0.5), np.int64(3))\n"
        "    return G()\n"
    )
    brings(site, source, "gate", "numeric")
    kept = next(event for event in captioned(DecodingOptions(gate="numeric")) if isinstance(event, BlockKept))
    assert json.dumps([kept.score, kept.threshold]) == "[0.25, 0.5]"


def test_a_built_in_name_keeps_its_meaning(site: Path, capsys: pytest.CaptureFixture[str]) -> None:
    brings(site, "raise RuntimeError('must not be imported')", "gate", "entropy")
    assert gate(DecodingOptions(gate="entropy", tau=1.0)) == GATES.builtin["entropy"](
        SimpleNamespace(threshold_of=lambda _name: 1.0)  # type: ignore[arg-type]
    )
    assert main(["plugins"]) == 1
    assert "'entropy' of broken-pack 0.1 can't be used: the name is built in" in capsys.readouterr().out


def test_two_packages_with_one_name_are_both_told(site: Path) -> None:
    brings(site, "IT = 1", "gate", "same", owner="one-pack")
    brings(site, "IT = 2", "gate", "same", owner="other-pack")
    with pytest.raises(PluginError, match=r"of one-pack 0\.1 and other-pack 0\.1 can't be used: both bring one"):
        gate(DecodingOptions(gate="same"))


@pytest.mark.parametrize("name", ["a+b", "Loud", "a b", "x" * 41])
def test_a_name_that_could_not_be_typed_is_refused(site: Path, name: str) -> None:
    brings(site, "IT = 1", "gate", name)
    assert name not in GATES and name not in GATES.names()
    assert "small letters" in plugins.declared("gate")[name].problem


def test_damaged_metadata_of_another_package_is_passed_over(example: Path) -> None:
    install(example, "damaged-pack", {})
    (example / "damaged_pack-0.1.dist-info" / "entry_points.txt").write_bytes(b"ugsd_studio.gates\xff\xfe[\n=")
    plugins.forget()
    assert "long_words" in GATES


def test_plugins_can_be_switched_off(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UGSD_PLUGINS", "off")
    assert "long_words" not in GATES and len(GATES) == len(GATES.builtin)


# ── Acceptance rules ──────────────────────────────────────────────────────────────────────────────────────────────


def seen(*logits: float) -> Any:
    return distribution(np.array(logits, dtype=np.float32), 3)


def test_a_plugins_rule_judges(example: Path) -> None:
    rule = acceptance_rule("near_best", rank=1, probability=0.5)
    assert rule.judge(1, seen(2.0, 1.9, -3.0)) is None and rule.judge(2, seen(2.0, 1.9, -3.0)) == 0
    assert rule.choice(seen(0.0, 5.0, 0.0)) == 1


@pytest.mark.parametrize(
    ("judge", "why"),
    [("'x'", "TypeError"), ("99", "gave token 99 of a vocabulary of 3"), ("1 / 0", "ZeroDivisionError")],
)
def test_a_rule_that_fails_is_an_error_that_an_edge_can_read(site: Path, judge: str, why: str) -> None:
    source = f"class IT:\n    def __init__(self, s): ...\n    def judge(self, t, v, p=None): return {judge}\n"
    brings(site, source + "    def choice(self, v, p=None): return v.best\n", "acceptance", "bad")
    with pytest.raises(ProtocolError, match=why) as caught:
        acceptance_rule("bad", rank=1, probability=0.5).judge(1, seen(2.0, 1.0, 0.0))
    assert caught.value.code == "rule" and "broken-pack" in str(caught.value)


def test_a_verifier_without_the_rule_refuses_the_caption_and_says_what_to_install(
    example: Path, pairs: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = pairs("qwen2_5_omni")
    options = DecodingOptions(gate="always", acceptance="near_best", max_tokens=8)
    with serving(TorchVerifier(pair.verifier)) as address, WebSocketLink(address) as link:
        captioner = Captioner(StreamDrafter(pair.edge), link)
        assert list(captioner.stream(utterance(1), options)), "installed on both sides it works"
        bare = plugins.Registry("acceptance", ACCEPTANCE_RULES.builtin, ACCEPTANCE_RULES._adapt)
        monkeypatch.setattr(bare, "find", lambda name: (_ for _ in ()).throw(OptionError(name)))
        monkeypatch.setattr("ugsd_core.verifier.ACCEPTANCE_RULES", bare)
        with pytest.raises(HandshakeRefused, match="no acceptance rule 'near_best'; install the package") as caught:
            list(captioner.stream(utterance(2), options))
        assert caught.value.code == "rule"
        monkeypatch.undo()
        assert list(captioner.stream(utterance(3), DecodingOptions(gate="always", max_tokens=8))), (
            "the link still works"
        )


# ── Metrics ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_plugins_metric_is_scored_with_the_others(example: Path) -> None:
    assert metric_names("en")[-1] == "distinct_words" and "distinct_words" not in metric_names("zh")
    found = score_pairs(PAIRS, "en", ["length", "distinct_words"])["distinct_words"]
    assert found.corpus == 0.75 and found.per_clip == (0.75, None)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("unit='percent'", "its unit is one of"),
        ("name='other'", "calls itself 'other'"),
        ("definition=' '", "no definition"),
        ("languages=('de',)", "its languages are"),
        ("source='lengths:length'", "source is a function"),
    ],
)
def test_a_metric_that_tables_could_not_show_is_refused(site: Path, change: str, why: str) -> None:
    fields = "name='bad', languages=('en',), unit='0–1', better='none', definition='It.', source=lambda p, l: None"
    source = f"from ugsd_core.metrics import Metric\nIT = Metric(**(dict({fields}) | dict({change})))"
    brings(site, source, "metric", "bad")
    with pytest.raises(PluginError, match=why):
        score_pairs(PAIRS, "en", ["bad"])
    assert "bad" not in metric_names("en") and "bad" not in METRICS


def test_a_metric_that_fails_is_missing_and_the_others_are_scored(
    site: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from ugsd_core.evaluation.sheet import Sheet

    fields = "'bad', ('en',), '0–1', 'none', 'It.', lambda pairs, language: 1 / 0"
    brings(site, f"from ugsd_core.metrics import Metric\nIT = Metric({fields})", "metric", "bad")
    sheet = Sheet("en", [], [], {"edge": {}}, {"edge": [0]}, np.ones((2, 1)), "clips", None, "", ("length", "bad"), {})
    sheet.table["edge"][0] = SimpleNamespace(id="1", hypothesis="a voice", references=(), label=None)  # type: ignore[assignment]
    sheet.score("edge")
    assert list(sheet.scores["edge"]) == ["length"] and "broken-pack" in sheet.missing["bad"]
    (tmp_path / "pairs.jsonl").write_text('{"id": "1", "hypothesis": "a voice", "references": ["a voice"]}\n', "utf-8")
    words = ["score", "--pairs", str(tmp_path / "pairs.jsonl"), "--language", "en", "--draws", "20", "--json"]
    assert main([*words, "--metrics", "length,bad"]) == 0
    captured = capsys.readouterr()
    assert list(json.loads(captured.out)["metrics"]) == ["length"] and "not scored: the metric 'bad'" in captured.err
    assert main([*words, "--metrics", "bad"]) == 2


# ── Corpora ───────────────────────────────────────────────────────────────────────────────────────────────────────


def folders(root: Path) -> Path:
    for name in ("anger/1.wav", "sadness/2.wav", "notes/x.txt"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_a_plugins_format_is_recognised_where_no_built_in_one_is(
    example: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folders(tmp_path / "mine")
    corpus = read_corpus(root)
    assert corpus.format == "label_folders" and [c.label for c in corpus.clips] == ["anger", "sadness"]
    assert main(["corpus", str(root), "--format", "label_folders", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clips"] == 2
    (root / "manifest.csv").write_text("id,path,label\n1,anger/1.wav,anger\n", encoding="utf-8")
    assert read_corpus(root).format == "manifest"


def test_a_foreign_reader_opens_no_file_outside_of_an_uploaded_corpus(example: Path, tmp_path: Path) -> None:
    root = folders(tmp_path / "mine")
    secret = tmp_path / "secret.wav"
    secret.write_bytes(b"")
    (root / "anger" / "link.wav").symlink_to(secret)
    corpus = read_corpus(root)
    assert [clip.path is None for clip in corpus.clips] == [False, True, False]
    assert [problem.kind for problem in corpus.problems] == ["outside_folder"]
    assert all(clip.path for clip in read_corpus(root, confined=False).clips)


def test_a_reader_that_fails_names_its_package_and_known_corpora_are_read(site: Path, tmp_path: Path) -> None:
    source = "from ugsd_core.corpora import CorpusFormat\nIT = CorpusFormat('bad', lambda p: 1 / 0, lambda *a: [], '')"
    brings(site, source, "corpus", "bad")
    root = folders(tmp_path / "mine")
    with pytest.raises(OptionError, match="no corpus that is known"):
        read_corpus(root)
    with pytest.raises(PluginError, match="reader gave a list, not a Corpus"):
        read_corpus(root, "bad")
    assert set(FORMATS.names()) == {*FORMATS.builtin, "bad"}


# ── The command line and the page ─────────────────────────────────────────────────────────────────────────────────


def test_what_is_installed_is_listed_with_its_package(example: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plugins", "--json"]) == 0
    found = {row["name"]: row for row in json.loads(capsys.readouterr().out)["plugins"]}
    declared = tomllib.loads((PACKAGE / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert set(found) == {name for group in declared.values() for name in group}
    assert found["long_words"]["distribution"] == "ugsd-plugin-example 0.1"
    brings(example, "raise OSError('no disk')", "metric", "bad")
    assert main(["plugins"]) == 1
    text = capsys.readouterr().out
    assert "long_words" in text and "OSError: no disk" in text and "broken-pack 0.1" in text


def test_help_names_plugins_and_looks_for_them_only_when_it_is_printed(
    example: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit):
        main(["caption", "--help"])
    text = " ".join(capsys.readouterr().out.split())
    assert "always; installed beside it: long_words" in text and "installed beside it: near_best" in text
    monkeypatch.setattr(plugins, "declared", lambda kind: pytest.fail("nobody asked"))
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "plugins" in capsys.readouterr().out


def test_the_pages_menus_have_them_under_their_own_names(example: Path) -> None:
    from ui.evaluation import _format_choices
    from ui.evaluation_view import metric_means
    from ui.settings import acceptance_choices, gate_choices, limits_of

    assert gate_choices()[-1] == ("long_words", "long_words") and limits_of("long_words") == ["budget", "own", "tau"]
    assert acceptance_choices()[-1] == ("near_best", "near_best")
    assert _format_choices()[-1] == ("label_folders", "label_folders")
    assert metric_means("zh", "distinct_words").startswith("Different words")


def test_importing_the_engine_looks_for_nothing() -> None:
    program = (
        "import ugsd_core.gate, ugsd_core.acceptance, ugsd_core.metrics, ugsd_core.corpora, ugsd_core.captioner\n"
        "from ugsd_core.gate import gate\nfrom ugsd_core.options import preset\n"
        "gate(preset('default'))\nimport ugsd_core.plugins as p\nassert not p._declared.cache_info().misses\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
