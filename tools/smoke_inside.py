"""What `tools.smoke` runs in the clean environment, from an empty folder, with nothing of the checkout on any path.

Only the standard library and ``ugsd`` as a person types it. Each step fails with an AssertionError that says what was
expected. The last line on stdout is one JSON object with what was measured; progress goes to stderr.
"""

from __future__ import annotations

import importlib.util
import json
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

UGSD = str(Path(sys.executable).parent / "ugsd")
PAIRS = [
    {
        "id": "1",
        "hypothesis": "The speaker sounds sad.",
        "references": ["She sounds sad and tired."],
        "label": "sadness",
    },
    {"id": "2", "hypothesis": "A cheerful voice.", "references": ["The voice is cheerful."], "label": "happiness"},
]
START_S = 300


def say(text: str) -> None:
    print(f"  {text}", file=sys.stderr, flush=True)


def ugsd(*words: str, code: int = 0) -> str:
    """Run a command of ours; its stdout."""
    done = subprocess.run([UGSD, *words], capture_output=True, text=True, check=False)
    assert done.returncode == code, (
        f"ugsd {' '.join(words)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout if code == 0 else done.stderr


def nobody_answers() -> None:
    for address in (("1.1.1.1", 53), ("8.8.8.8", 53)):
        try:
            socket.create_connection(address, timeout=2).close()
        except OSError:
            continue
        raise AssertionError(f"{address} was reached: the network is not cut off")


def wall_ms(*words: str, times: int = 7) -> float:
    """Median time of a Python with some arguments."""
    took = []
    for _ in range(times):
        began = time.perf_counter()
        subprocess.run([sys.executable, *words], capture_output=True, check=True)
        took.append(1000 * (time.perf_counter() - began))
    return statistics.median(took)


def light() -> dict[str, float]:
    """What an import and a help text cost beyond an empty Python, in ms."""
    bare = wall_ms("-c", "pass")
    found = {
        "import ugsd_core": wall_ms("-c", "import ugsd_core") - bare,
        "ugsd --help": wall_ms("-m", "ugsd_core.cli", "--help") - bare,
        "ugsd caption --help": wall_ms("-m", "ugsd_core.cli", "caption", "--help") - bare,
    }
    return {name: max(0, round(value)) for name, value in found.items()}


def demo() -> dict[str, Any]:
    """Start the page, fetch it, and end it politely."""
    began = time.perf_counter()
    child = subprocess.Popen(
        [UGSD, "demo", "--port", "0", "--no-browser"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout is not None
    lines: list[str] = []
    try:
        for line in child.stdout:
            lines.append(line)
            if found := re.search(r"UGSD Studio is at (\S+)", line):
                break
            assert time.perf_counter() - began < START_S, "the page did not start:\n" + "".join(lines)
        else:
            raise AssertionError("the page did not start:\n" + "".join(lines))
        up_s = time.perf_counter() - began
        with urllib.request.urlopen(found[1], timeout=30) as answer:
            page = answer.read().decode()
        assert answer.status == 200 and "UGSD Studio" in page and "ugsdLocale" in page
    finally:
        child.terminate()
        code = child.wait(30)
    assert code == 0, f"the page ended with {code}"
    return {"page_up_s": round(up_s, 1), "page_kb": round(len(page) / 1000)}


def main(part: str) -> None:
    """Everything, or what the edge alone can do."""
    import ugsd_core
    from ugsd_core.places import assets_folder

    home = Path(ugsd_core.__file__).resolve()
    assert "site-packages" in home.parts, f"this is not the installed program: {home}"
    assert not list(Path.cwd().iterdir()), "the folder is not empty"
    nobody_answers()
    found: dict[str, Any] = {"light_ms": light()}
    say(f"light: {found['light_ms']}")
    assert found["light_ms"]["import ugsd_core"] < 300, "importing ugsd_core takes too long"
    told = json.loads(ugsd("doctor", "--json"))
    assert told["healthy"] is True and {entry["group"] for entry in told["findings"]} >= {"packages", "captioning"}
    say("doctor: healthy")
    clip = str(assets_folder() / "examples/slow_low_en.flac")
    # Without PyTorch there is no verifier to start.
    caption = json.loads(ugsd("caption", clip, "--json", *(("--mode", "edge") if part == "edge-onnx" else ())))
    assert caption["finish_reason"] and len(caption["caption"]) > 20, caption["caption"]
    found["caption"] = caption["caption"]
    say(f"caption: {caption['caption']}")
    assert len(ugsd("replay", str(assets_folder() / "traces/2-corrected.jsonl"), "--quiet")) > 20
    if part != "all":
        none = ("gradio", "plotly", "sqlalchemy", "sacrebleu")
        for package in (*none, "torch", "transformers") if part == "edge-onnx" else none:
            assert importlib.util.find_spec(package) is None, f"{package} is installed, and the edge needs none"
        Path("pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS), encoding="utf-8")
        said = ugsd("demo", code=2)
        assert "pip install 'ugsd-studio[page]'" in said, said
        say("demo says which extra it needs")
    else:
        Path("pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in PAIRS), encoding="utf-8")
        scores = json.loads(ugsd("score", "--pairs", "pairs.jsonl", "--language", "en", "--draws", "50", "--json"))
        found["metrics"] = len(scores["metrics"])
        assert found["metrics"] >= 8
        say(f"score: {found['metrics']} metrics")
        found |= demo()
        say(f"demo: up in {found['page_up_s']} s")
    print(json.dumps(found, ensure_ascii=False))


if __name__ == "__main__":
    main(sys.argv[1])
