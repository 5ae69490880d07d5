"""A clean environment outside the checkout, to prove what is installed: a new venv, an empty folder, no network."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
import sys
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

__all__ = ["ROOT", "CleanRoom", "checkout_copy", "cut_off", "megabytes", "timed"]

ROOT = Path(__file__).resolve().parents[1]
#: Run behind ``unshare``, with nothing but loopback, which a new network has switched off.
LOOPBACK_UP = (
    "import fcntl,os,socket,struct,sys;"
    "s=socket.socket();"
    "fcntl.ioctl(s,0x8914,struct.pack('16sh14x',b'lo',1));"
    "os.execvp(sys.argv[1],sys.argv[1:])"
)
#: Where network namespaces are not to be had: whoever asks a proxy gets no answer.
NOWHERE = {
    name: "http://127.0.0.1:9" for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
}


@contextmanager
def timed(what: str, figures: dict[str, float]) -> Iterator[None]:
    """Say what is done and how long it took; kept under the same words, in seconds."""
    print(f"{what} …", flush=True)
    began = time.perf_counter()
    yield
    figures[what] = round(time.perf_counter() - began, 1)
    print(f"  {figures[what]:.1f} s", flush=True)


def megabytes(*paths: Path) -> float:
    """Size of files and folders in MB, links not followed."""
    files = [path for top in paths for path in ([top] if top.is_file() else top.rglob("*"))]
    return round(sum(path.lstat().st_size for path in files if path.is_file() and not path.is_symlink()) / 1e6, 1)


@functools.cache
def _unshare() -> tuple[str, ...]:
    """What runs a command in a network of its own; empty where that is not allowed."""
    if shutil.which("unshare"):
        for words in (["unshare", "-n"], ["unshare", "-rn"]):
            if subprocess.run([*words, "true"], capture_output=True, check=False).returncode == 0:
                return (*words, sys.executable, "-c", LOOPBACK_UP)
    return ()


def cut_off(command: Sequence[str], environment: Mapping[str, str]) -> tuple[list[str], dict[str, str], str]:
    """A command without network: its words, its environment, and how that was done."""
    if _unshare():
        return [*_unshare(), *command], dict(environment), "a network of its own with loopback alone"
    return list(command), {**environment, **NOWHERE, "HF_HUB_OFFLINE": "1"}, "proxies that lead nowhere"


def checkout_copy(folder: Path) -> Path:
    """What git tracks or would, in a folder of its own, so that building leaves nothing in the checkout."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


class CleanRoom:
    """A virtual environment and an empty folder, both outside the checkout, and a home that nobody has lived in.

    Args:
        folder: Where the empty folder and the home are made.
        environment: An environment to use again; made if it is not there.
    """

    def __init__(self, folder: Path, environment: Path) -> None:
        self.home, self.work, self.venv = folder / "home", folder / "empty", environment
        for made in (self.home, self.work):
            made.mkdir(parents=True, exist_ok=True)
        self.fresh = not (environment / "bin/python").exists()
        if self.fresh:
            venv.create(environment, with_pip=True)

    @property
    def python(self) -> str:
        """Its interpreter."""
        return str(self.venv / "bin/python")

    @property
    def packages_mb(self) -> float:
        """Size of what is installed."""
        return megabytes(*self.venv.glob("lib/python*/site-packages"))

    def environ(self, **more: str) -> dict[str, str]:
        """A plain environment: nothing of the checkout on any path, nothing of ours in the home."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PYTHON", "UGSD", "VIRTUAL", "HF_"))
        }
        path = f"{self.venv / 'bin'}{os.pathsep}{os.environ['PATH']}"
        home = str(self.home)
        return {**kept, "PATH": path, "HOME": home, "XDG_DATA_HOME": f"{home}/data", "TMPDIR": home, **more}

    def install(self, *words: str, tested: bool = True) -> None:
        """``pip install``.

        Args:
            words: What pip is told.
            tested: With the versions that were tested together.

        Raises:
            CalledProcessError: If that fails; pip has said why.
        """
        limits = ["-c", str(ROOT / "constraints.txt")] if tested else []
        pip = [self.python, "-m", "pip", "install", "--disable-pip-version-check", "--quiet", *limits, *words]
        done = subprocess.run(pip, cwd=self.work, env=dict(os.environ), stderr=subprocess.PIPE, text=True, check=False)
        if done.returncode:
            print(done.stderr[-3000:], file=sys.stderr)
            done.check_returncode()
