"""What can be held of the container files where nothing can be built: they parse, lint, and name what exists."""

from __future__ import annotations

import asyncio
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from containers.health import healthy
from containers.requirements import VERIFIER, requirements
from tests.wire.fakes import FakeVerifier, serving

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "containers"
CONTAINERFILE = (FOLDER / "Containerfile").read_text(encoding="utf-8")
IMAGES = ("verifier", "page")


def stages() -> dict[str, list[tuple[str, str]]]:
    """Stage to its instructions, with lines joined and comments gone."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE, flags=re.MULTILINE).replace("\\\n", " ")
    found: dict[str, list[tuple[str, str]]] = {}
    stage: list[tuple[str, str]] = []
    for line in text.splitlines():
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            base, name = rest.split(" AS ")
            stage = found.setdefault(name, [("FROM", base)])
        elif word:
            stage.append((word, " ".join(rest.split())))
    return found


def values(stage: str, word: str) -> list[str]:
    return [rest for kind, rest in stages()[stage] if kind == word]


def compose(*names: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / names[0]).read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_has_a_user_without_rights_and_a_health_check(image: str) -> None:
    assert values(image, "USER") == ["10001:10001"]
    (check,) = values(image, "HEALTHCHECK")
    (port,) = values(image, "EXPOSE")
    assert "/app/containers/health.py" in check and f'"{port}"' in check
    (command,) = values(image, "CMD")
    assert f'"{port}"' in command
    assert values("program", "ENTRYPOINT") == ['["sh", "/app/containers/start.sh"]']


def test_versions_are_pinned() -> None:
    for stage, lines in stages().items():
        base = lines[0][1]
        assert base in stages() or base == "python:${PYTHON}", stage
    assert re.search(r"^ARG PYTHON=3\.\d+\.\d+-slim-\w+$", CONTAINERFILE, re.MULTILINE)
    torch = next(
        line for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "torch==" in line
    )
    assert f" {torch.strip()}" in CONTAINERFILE
    for stage in ("verifier-packages", "page-packages"):
        assert "-c constraints.txt -r requirements.txt" in values(stage, "RUN")[0]


def test_what_is_copied_exists_and_is_not_ignored() -> None:
    allowed = [
        line[1:] for line in (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines() if line[:1] == "!"
    ]
    for stage in stages():
        for line in values(stage, "COPY"):
            if line.startswith("--from="):
                assert line.split("=")[1].split()[0] in stages()
                continue
            for source in line.split()[:-1]:
                assert (ROOT / source).exists(), source
                assert any(source == entry or source.startswith(f"{entry}/") for entry in allowed), source
    copied = {source.split("/")[0] for stage in stages() for line in values(stage, "COPY") for source in line.split()}
    assert {"ugsd_core", "ui", "assets", "app.py"} <= copied


def test_the_verifiers_packages_are_those_that_it_imports() -> None:
    """Third-party modules that a verifier has loaded belong to its packages, or to what those require."""
    program = (
        "import sys\nfrom ugsd_core.verifier import TorchVerifier\nfrom ugsd_core.models import loading, shipped\n"
        "import ugsd_core.wire.server, ugsd_core.cli.verifier\n"
        "print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    left_out = {
        "gradio",
        "plotly",
        "nltk",
        "sacrebleu",
        "rouge_score",
        "sqlalchemy",
        "swift_f0",
        "markdown_it",
        "psutil",
    }
    assert not left_out & set(done.stdout.split())
    named = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    chosen = requirements("verifier", ROOT / "pyproject.toml")
    assert set(chosen) <= set(named) and len(chosen) == len(VERIFIER)
    assert requirements("page", ROOT / "pyproject.toml") == named
    with pytest.raises(SystemExit, match="page and verifier"):
        requirements("other", ROOT / "pyproject.toml")


# ── Compose ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_services_are_read_only_without_rights_and_joined_by_an_inner_network() -> None:
    found = compose("compose.yaml")
    assert set(found["services"]) == set(IMAGES)
    for name, service in found["services"].items():
        assert service["read_only"] is True and service["user"] == "10001:10001" and service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"] and any(
            "/tmp" in mount for mount in service["tmpfs"]
        )
        assert service["build"]["target"] == name
        assert (FOLDER / service["build"]["context"] / service["build"]["dockerfile"]).resolve().is_file()
        assert service["secrets"] == ["access_token"] and "UGSD_ACCESS_TOKEN" not in service["environment"]
    verifier, page = (found["services"][name] for name in IMAGES)
    assert found["networks"]["inside"]["internal"] is True
    assert verifier["networks"] == ["inside"] and "ports" not in verifier
    assert page["ports"][0].startswith("127.0.0.1:") and page["volumes"] == ["kept:/data"]
    assert page["depends_on"]["verifier"]["condition"] == "service_healthy"


def test_what_the_services_are_started_with_can_be_typed() -> None:
    from ugsd_core.cli.parser import build_parser as build_ugsd

    try:
        from ui.demo import build_parser
    except ImportError:  # where app.py holds the page's options itself
        from app import build_parser

    page = compose("compose.yaml")["services"]["page"]["command"]
    args = build_parser().parse_args(page[2:])
    assert args.verifier == "ws://verifier:8765"
    known = compose("compose.yaml")["services"]["page"]["environment"]["UGSD_ANNOTATIONS"]
    assert args.annotations == known, "what ugsd annotations opens in the container is what the page keeps"
    cuda = compose("compose.cuda.yaml")["services"]["verifier"]["command"]
    assert build_ugsd("verifier").parse_args(cuda[3:]).device == "cuda"
    tls = compose("compose.tls.yaml")["services"]["verifier"]["command"]
    assert build_ugsd("verifier").parse_args(tls[3:]).trusted_proxy == ["172.28.0.0/24"]
    (command,) = values("verifier", "CMD")
    assert build_ugsd("verifier").parse_args(yaml.safe_load(command)[3:]).insecure_plaintext


# ── Start and health ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.skipif(os.name != "posix", reason="a shell as POSIX has it")
def test_a_secret_in_a_file_reaches_the_program_and_a_missing_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n", encoding="utf-8")
    words = ["sh", str(FOLDER / "start.sh"), "sh", "-c", 'echo "$UGSD_ACCESS_TOKEN ${UGSD_ACCESS_TOKEN_FILE:-gone}"']
    env = {"PATH": os.environ["PATH"], "UGSD_ACCESS_TOKEN_FILE": str(tmp_path / "token")}
    done = subprocess.run(words, env=env, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "s3cret gone\n")
    missing = subprocess.run(
        words, env=env | {"UGSD_ACCESS_TOKEN_FILE": str(tmp_path / "none")}, capture_output=True, text=True
    )
    assert missing.returncode == 2 and missing.stderr.startswith("ugsd: the secret")


def test_a_verifier_and_a_page_that_answer_are_well_and_silence_is_not() -> None:
    with serving(FakeVerifier()) as address:
        port = int(address.rsplit(":", 1)[1])
        assert healthy(port) and healthy(port, "/healthz")
    assert not healthy(port)
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        assert not healthy(server.server_port), "a server error is no health"


# ── A service of systemd, behind a proxy, and watched ─────────────────────────────────────────────────────────────


def test_what_the_unit_starts_can_be_typed_and_waits_longer_than_the_verifier_does() -> None:
    from ugsd_core.cli.parser import build_parser

    unit = (FOLDER / "ugsd-verifier.service").read_text(encoding="utf-8")
    (words,) = re.findall(r"^ExecStart=\S+ (.+)$", unit, re.MULTILINE)
    args = build_parser("verifier").parse_args(words.split())
    assert args.token_file is not None and args.config_file == "/etc/ugsd/verifier.toml"
    grace_s = tomllib.loads((FOLDER / "verifier.toml").read_text(encoding="utf-8"))["operations"]["grace-s"]
    (stop_s,) = re.findall(r"^TimeoutStopSec=(\d+)$", unit, re.MULTILINE)
    assert int(stop_s) > 2 * grace_s and "Type=notify" in unit and "DynamicUser=yes" in unit


def test_what_is_watched_is_measured() -> None:
    from ugsd_core.batching import BatchLimits
    from ugsd_core.wire.service import Service

    async def told() -> str:
        service = Service(FakeVerifier(), BatchLimits(), workers=1)
        try:
            return service.measures.text()[0].decode()
        finally:
            service.close()

    measured = set(re.findall(r"^# TYPE (\S+)", asyncio.run(told()), re.MULTILINE)) | {
        "up",
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "ugsd_verifier_device_memory_bytes",
    }
    dashboard = json.loads((FOLDER / "monitoring" / "dashboard.json").read_text(encoding="utf-8"))
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    alerts = yaml.safe_load((FOLDER / "monitoring" / "alerts.yaml").read_text(encoding="utf-8"))
    asked += [rule["expr"] for group in alerts["groups"] for rule in group["rules"]]
    for expression in asked:
        names = re.findall(r"\b((?:ugsd_verifier|process)_\w+|up)\b", expression)
        assert names and all(re.sub(r"_bucket$", "", name) in measured for name in names), expression
    assert alerts["groups"][0]["rules"] and dashboard["panels"]


# ── Linters, where they are installed ─────────────────────────────────────────────────────────────────────────────


def linter(name: str) -> str:
    path = shutil.which(name) or str(Path(sys.executable).parent / name)
    if not Path(path).is_file():
        pytest.skip(f"{name} is not installed")
    return path


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([linter("hadolint"), str(FOLDER / "Containerfile")], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "files", [("compose.yaml",), ("compose.yaml", "compose.cuda.yaml"), ("compose.yaml", "compose.tls.yaml")]
)
def test_compose_itself_reads_the_files(files: tuple[str, ...]) -> None:
    words = [word for name in files for word in ("-f", str(FOLDER / name))]
    words = [linter("docker-compose"), *words, "config", "--quiet"]
    env = os.environ | {"UGSD_NAME": "verifier.example.org"}
    done = subprocess.run(words, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "words", [["nginx", "-v"], ["caddy", "validate"], ["systemd-analyze", "verify"]], ids=lambda w: w[0]
)
def test_proxies_and_systemd_read_their_files(words: list[str], tmp_path: Path) -> None:
    program = shutil.which(words[0], path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if program is None:
        pytest.skip(f"{words[0]} is not installed")
    if words[0] == "nginx":
        # Without certificates, which nginx would look for; and every path in a folder of the test's own.
        site = re.sub(
            r" *ssl_certificate.*\n|( ssl);", "", (FOLDER / "proxy" / "nginx.conf").read_text(encoding="utf-8")
        )
        (tmp_path / "site.conf").write_text(
            re.sub(r"listen 443\b;?", "listen 127.0.0.1:18443;", site), encoding="utf-8"
        )
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        folders = "\n".join(f"{kind}_temp_path {tmp_path / kind};" for kind in kinds)
        (tmp_path / "nginx.conf").write_text(
            f"pid {tmp_path / 'pid'};\nerror_log stderr;\nevents {{}}\nhttp {{\n{folders}\ninclude site.conf;\n}}\n",
            encoding="utf-8",
        )
        command = [program, "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(tmp_path / "nginx.conf")]
    elif words[0] == "caddy":
        command = [program, "validate", "--adapter", "caddyfile", "--config", str(FOLDER / "proxy" / "Caddyfile")]
    else:
        unit = (
            (FOLDER / "ugsd-verifier.service").read_text(encoding="utf-8").replace("/opt/ugsd/bin/ugsd", sys.executable)
        )
        (tmp_path / "ugsd-verifier.service").write_text(unit, encoding="utf-8")
        command = [program, "verify", str(tmp_path / "ugsd-verifier.service")]
    env = os.environ | {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=60)
    assert done.returncode == 0, done.stderr
    if words[0] == "systemd-analyze":
        assert "ugsd-verifier.service:" not in done.stderr, done.stderr
