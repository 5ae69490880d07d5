"""Processors, accelerators, memory and a browser."""

from __future__ import annotations

import os
import shutil
import subprocess
from importlib.util import find_spec

from ugsd_core.cores import cores
from ugsd_core.doctor.finding import Finding
from ugsd_core.free_memory import free_bytes
from ugsd_core.parts import install_line
from ugsd_core.places import assets_folder

__all__ = ["check_browser", "check_devices", "check_edge_backend", "check_memory", "find_browser"]

GROUP = "machine"
#: The page with the embedded pair takes 1.0 GB, both processes together.
ENOUGH_MB = 2_000
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def check_memory() -> Finding:
    """Cores, and the memory that is free now, where the system says so."""
    count = cores()
    free = free_bytes()
    free_mb = None if free is None else free // 1_000_000
    said = f"{count} core{'s' if count > 1 else ''}"
    if free_mb is None:
        return Finding(GROUP, "processor, memory", "ok", said, details={"cores": count})
    details = {"cores": count, "free_mb": free_mb}
    said += f", {free_mb / 1000:.1f} GB memory free"
    if free_mb < ENOUGH_MB:
        mend = "end other programs: the page and its verifier take about 1 GB with the embedded pair"
        return Finding(GROUP, "processor, memory", "note", said, mend, details)
    return Finding(GROUP, "processor, memory", "ok", said, details=details)


def check_devices() -> Finding:
    """Where models can run, as PyTorch sees it."""
    if find_spec("torch") is None:
        return Finding(GROUP, "devices", "note", "unknown without PyTorch")
    import torch

    names = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    if names:
        said = "; ".join(f"cuda:{i} {gpu.name}, {gpu.total_memory / 1e9:.0f} GB" for i, gpu in enumerate(names))
        return Finding(GROUP, "devices", "ok", f"cpu; {said}", details={"cuda": [gpu.name for gpu in names]})
    if shutil.which("nvidia-smi") and _driver_sees_one():
        mend = f"install PyTorch's CUDA build of {torch.__version__.split('+')[0]}, as its page 'Get started' says"
        return Finding(GROUP, "devices", "note", "cpu; an NVIDIA GPU that this PyTorch cannot use", mend)
    return Finding(GROUP, "devices", "ok", "cpu (the embedded pair needs no GPU)", details={"cuda": []})


def check_edge_backend() -> Finding:
    """What computes the embedded edge here."""
    if find_spec("numpy") is None or (find_spec("onnxruntime") is None and find_spec("torch") is None):
        return Finding(GROUP, "edge back end", "missing", "neither onnxruntime nor PyTorch", install_line("edge-onnx"))
    from ugsd_core.models.backends import choose_backend

    backend = choose_backend(assets_folder() / "checkpoints/edge")
    if backend == "torch":
        mend = f"{install_line('edge-onnx')}, with which the embedded edge is faster"
        return Finding(GROUP, "edge back end", "note", "torch", mend, {"backend": backend})
    return Finding(GROUP, "edge back end", "ok", "onnx (onnxruntime on the CPU)", details={"backend": backend})


def _driver_sees_one() -> bool:
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0 and bool(done.stdout.strip())


def find_browser() -> str | None:
    """A Chromium on this machine."""
    return os.environ.get("UGSD_CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)


def check_browser() -> Finding:
    """A browser for the tests; the page itself takes any."""
    found = find_browser()
    if found is None:
        mend = "apt-get install chromium; or set UGSD_CHROMIUM to one"
        return Finding(GROUP, "browser for tests", "note", "no Chromium; browser tests are skipped", mend)
    return Finding(GROUP, "browser for tests", "ok", found)
