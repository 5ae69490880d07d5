"""Whether a checkpoint can run where it is to run, found out before minutes are spent on loading it.

The device must be there, the number format must be one that it computes in (tried, not looked up in a table), and the
weights must fit. What they take is read from the headers of the safetensors files. It is a lower bound: a load that is
refused here would have failed. One that is not may still run out of memory; then `no_room` says the same.
"""

from __future__ import annotations

import difflib
import json
import struct
from math import prod
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.free_memory import free_bytes
from ugsd_core.models.rounding import WEIGHT_ONLY

__all__ = [
    "BYTES",
    "DTYPES",
    "FLOATS",
    "budget_mb",
    "check_device",
    "check_dtype",
    "check_room",
    "free_on",
    "no_room",
    "weight_bytes",
]

FLOATS = ("float32", "bfloat16", "float16")
#: In ``int8`` and ``int4`` weights alone are rounded, while they are loaded (`ugsd_core.models.rounding`).
DTYPES = (*FLOATS, *WEIGHT_ONLY)
#: Bytes of a weight, at the least.
BYTES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5}
_MEANT = {"fp32": "float32", "float": "float32", "bf16": "bfloat16", "fp16": "float16", "half": "float16"}
#: Parts of a whole checkpoint that a thinker does not load.
_OTHERS = ("talker.", "token2wav.", "code2wav.")
#: Of what is free once a model is loaded, the share that recordings may take; passes take the rest.
AUTO_SHARE = 0.5


def check_dtype(dtype: str) -> None:
    """Refuse what is no number format.

    Raises:
        OptionError: With the nearest right name.
    """
    if dtype in DTYPES:
        return
    meant = _MEANT.get(dtype.lower()) or next(iter(difflib.get_close_matches(dtype.lower(), DTYPES, 1, 0.6)), None)
    hint = f"; {meant} was probably meant" if meant else ""
    raise OptionError(f"dtype is one of {', '.join(DTYPES)}, not {dtype!r}{hint}")


def check_device(device: str, dtype: str) -> None:
    """Refuse a device that is not there, or that does not compute in a number format.

    Args:
        device: As `load_speech_model`.
        dtype: One of `DTYPES`.

    Raises:
        OptionError: With what is there.
    """
    import torch

    if dtype in WEIGHT_ONLY:
        if device != "cpu":
            raise OptionError(f"{dtype} is for the CPU; on {device!r} take bfloat16")
        return
    if device == "auto":
        return
    kind, _, number = device.partition(":")
    if kind not in ("cpu", "cuda", "mps") or (number and not number.isdecimal()) or (kind == "cpu" and number):
        hint = next(iter(difflib.get_close_matches(kind.lower(), ("cpu", "cuda", "mps"), 1, 0.5)), None)
        meant = f"; {hint} was probably meant" if hint and hint != device else ""
        raise OptionError(f"device is cpu, cuda, cuda:1 …, mps or auto, not {device!r}{meant}")
    if kind == "cuda":
        if not torch.cuda.is_available():
            raise OptionError(
                f"device {device!r} was asked for, but no CUDA device is available; use --device cpu "
                "(ugsd doctor says whether there is a GPU that this PyTorch cannot use)"
            )
        count = torch.cuda.device_count()
        if int(number or 0) >= count:
            there = "cuda:0 alone" if count == 1 else f"cuda:0 to cuda:{count - 1}"
            raise OptionError(f"device {device!r} was asked for, but there is {there}")
    if kind == "mps" and not torch.backends.mps.is_available():
        raise OptionError(f"device {device!r} was asked for, but this is no Mac with such a GPU; use --device cpu")
    _try(device, dtype)


def _try(device: str, dtype: str) -> None:
    """Compute a little of each kind that a thinker computes."""
    import torch
    from torch.nn import functional

    try:
        some = torch.ones((1, 4, 8), device=device, dtype=getattr(torch, dtype))
        weight = some[0].T @ some[0]
        functional.linear(some, weight)
        functional.conv1d(some, some[:, :, :1].repeat(2, 1, 1))
        functional.scaled_dot_product_attention(some, some, some)
        functional.layer_norm(some, (8,)).softmax(-1)
    except (RuntimeError, TypeError) as error:
        if "memory" in str(error):
            return  # of something else; loading will say how much is needed
        raise OptionError(
            f"device {device!r} does not compute in {dtype} here ({_first_line(error)}); use --dtype float32"
        ) from error


def weight_bytes(checkpoint: str | Path, dtype: str) -> int | None:
    """What the weights of a thinker take in memory (bytes); None if they are not on this machine yet.

    Args:
        checkpoint: A folder, or a name of the hub whose files were fetched before.
    """
    folder = _folder(str(checkpoint))
    if folder is None:
        return None
    shapes: dict[str, tuple[int, ...]] = {}
    try:
        for path in sorted(folder.glob("model*.safetensors")):
            shapes |= _shapes(path)
    except (OSError, ValueError, struct.error):
        return None  # damaged: loading says how
    if not shapes:
        return None
    values = sum(
        prod(shape)
        for name, shape in shapes.items()
        if not name.startswith(_OTHERS) and not name.endswith("_scale") and ".visual." not in f".{name}"
    )
    return int(values * BYTES[dtype])


def check_room(checkpoint: str | Path, device: str, dtype: str) -> None:
    """Refuse weights that cannot fit.

    Raises:
        CheckpointError: With what is needed, what is free, and what would fit.
    """
    needed, free = weight_bytes(checkpoint, dtype), free_on(device)
    if needed is not None and free is not None and needed > free:
        raise no_room(checkpoint, device, dtype, free=free)


def no_room(checkpoint: str | Path, device: str, dtype: str, *, free: int | None = None) -> CheckpointError:
    """The error for a person whose memory is too small for a checkpoint."""
    needed = weight_bytes(checkpoint, dtype)
    free = free_on(device) if free is None else free
    said = f"{checkpoint} does not fit into the memory of {device}"
    if needed is not None:
        said += f": its weights take {needed / 1e9:.1f} GB in {dtype}"
        said += f", and {free / 1e9:.1f} GB are free" if free is not None else ""
    ways = ["another --device", "a smaller checkpoint"]
    if dtype == "float32":
        half = f" ({needed / 2e9:.1f} GB)" if needed is not None else ""
        ways.insert(0, f"--dtype bfloat16{half}")
    if device != "auto":
        ways.append("--device auto, which spreads it over what is there (it needs the package accelerate)")
    return CheckpointError(f"{said}. Take {', '.join(ways[:-1])} or {ways[-1]}, or end other programs.")


def free_on(device: str) -> int | None:
    """Free memory of a device (bytes); None if nobody knows, as with ``auto``."""
    import torch

    kind = device.partition(":")[0]
    if kind == "cpu":
        return free_bytes()
    if kind == "cuda" and torch.cuda.is_available():
        return int(torch.cuda.mem_get_info(torch.device(device))[0])
    if kind == "mps" and torch.backends.mps.is_available():
        return int(torch.mps.recommended_max_memory() - torch.mps.driver_allocated_memory())
    return None


def budget_mb(device: str, share: float = AUTO_SHARE) -> float | None:
    """What recordings may take beside a model that is loaded (MB): a share of what is free; None if nobody knows."""
    free = free_on(device)
    return None if free is None else max(64.0, round(free * share / 1e6))


def _folder(checkpoint: str) -> Path | None:
    """Where its files are on this machine; never fetches any."""
    folder = Path(checkpoint).expanduser()
    if folder.is_dir():
        return folder
    try:
        from huggingface_hub import snapshot_download

        return Path(snapshot_download(checkpoint, local_files_only=True))
    except Exception:  # not fetched yet, or no name of the hub: loading says so
        return None


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Shapes of the tensors of a safetensors file, from its header alone.

    Raises:
        ValueError, struct.error, OSError: If it is none.
    """
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > 100_000_000:  # the format's own bound
            raise ValueError(f"{path} is no safetensors file")
        header: dict[str, Any] = json.loads(file.read(length))
    return {name: tuple(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)[:120]
