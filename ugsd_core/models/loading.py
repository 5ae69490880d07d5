"""Loading a checkpoint: the embedded pair, a local folder, or a name on the hub, through one path.

A folder of ours holds ``ugsd.json`` beside the usual files and says there which acoustic code and prompt it was
trained with. Any other checkpoint of a known family gets the family's own: log-mel as recorded, 8 bits, the prompt
``paper``. A folder may also hold an auxiliary emotion head, and its weights in eight bits.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ugsd_core.acoustic import FeatureSpec
from ugsd_core.errors import CheckpointError, OptionError
from ugsd_core.exhaustion import exhausted
from ugsd_core.models.caption_model import Description
from ugsd_core.models.eight_bit import read_eight_bit
from ugsd_core.models.emotion_head import load_emotion_head
from ugsd_core.models.families import Family, family_of
from ugsd_core.models.fitting import DTYPES, FLOATS, check_device, check_dtype, check_room, no_room
from ugsd_core.models.prompts import PROMPTS
from ugsd_core.models.rounding import WEIGHT_ONLY, quantisation_config
from ugsd_core.places import assets_folder

if TYPE_CHECKING:
    from ugsd_core.models.speech_model import SpeechModel

__all__ = [
    "DTYPES",
    "FLOATS",
    "SMALL_PARAMETERS",
    "CheckpointDescription",
    "check_folder",
    "default_checkpoint",
    "describe",
    "limit_threads",
    "load_speech_model",
    "read_description",
    "read_own",
]

#: Below this many parameters, one token's matrix products are too small to share between threads.
SMALL_PARAMETERS = 50_000_000


def limit_threads(model: SpeechModel) -> None:
    """Let a small model on the CPU compute in one thread; called by the processes that own one.

    Handing a millisecond's work to a second thread costs more than it saves, and when edge and verifier share two cores
    their waiting threads take each other's time: the embedded edge wrote a caption 2.4 times as fast with one thread.
    """
    import torch

    parameters = sum(weight.numel() for weight in model.model.parameters())
    if model.device.type == "cpu" and parameters < SMALL_PARAMETERS:
        torch.set_num_threads(1)


def default_checkpoint(side: Literal["edge", "verifier"]) -> Path:
    """Folder of the embedded edge or verifier.

    Raises:
        CheckpointError: If the checkpoints were not installed with the code.
        InstallationError: If nothing was.
    """
    folder = assets_folder() / "checkpoints" / side
    if not (folder / "config.json").is_file():
        raise CheckpointError(
            f"the embedded {side} checkpoint is missing ({folder}); install the program again, name another with "
            f"--{'edge' if side == 'edge' else 'verifier-checkpoint'}, or make it with 'ugsd train {side}'"
        )
    return folder


def load_speech_model(checkpoint: str | Path, *, device: str = "cpu", dtype: str = "float32") -> SpeechModel:
    """Load a thinker and its tokenizer.

    Args:
        checkpoint: A folder, or a hub name such as ``Qwen/Qwen2.5-Omni-3B``.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"`` …, ``"mps"``, or ``"auto"`` to spread it over what is there (needs
            *accelerate*).
        dtype: One of `DTYPES`.

    Raises:
        CheckpointError: If it is missing, damaged, of an unknown type, too large for the memory there, or its parts do
            not fit.
        OptionError: If device or dtype cannot be used here.
    """

    from ugsd_core.models.speech_model import SpeechModel

    check_dtype(dtype)
    check_device(device, dtype)
    name = str(checkpoint)
    check_folder(checkpoint)
    family, own = _identify(checkpoint)
    check_room(checkpoint, device, dtype)
    tokenizer = _load_tokenizer(name)
    model = _load_model(name, family, device=device, dtype=dtype)
    about = describe(name, own, model.config.audio_config.num_mel_bins)
    folder = Path(checkpoint).expanduser()
    return SpeechModel.create(
        model,
        tokenizer,
        family,
        about,
        head=load_emotion_head(folder, model.get_input_embeddings().weight.shape[1]),
        folder=folder if folder.is_dir() else None,
    )


def describe(name: str, own: dict[str, Any], n_mels: int) -> Description:
    """What ``ugsd.json`` says of a checkpoint.

    Args:
        name: Folder or hub name, for messages.
        own: From `read_own`.
        n_mels: Mel bins of the model, for a folder that says nothing.

    Raises:
        CheckpointError: If it says what cannot be.
    """
    prompt, wordings = _prompts(name, own)
    try:
        features = FeatureSpec(**(own.get("features") or {"n_mels": n_mels, "level": "as_recorded"}))
    except (TypeError, OptionError) as error:
        raise CheckpointError(f"{name}: ugsd.json describes features that do not exist: {error}") from error
    called = str(own.get("name", Path(name).name))
    return Description(features, prompt, called, wordings, _head_weight(name, own), _say_once(name, own))


@dataclass(frozen=True, slots=True)
class CheckpointDescription:
    """What a checkpoint says of itself before its weights are read.

    Attributes:
        audio_config: Of its tower.
        ends: Ids that its generation config ends with.
    """

    about: Description
    family: Family
    tokenizer: Any
    audio_config: Any
    ends: tuple[int, ...]


def read_description(checkpoint: str | Path) -> CheckpointDescription:
    """Read config, tokenizer and ``ugsd.json``, and no weights.

    Raises:
        CheckpointError: As `load_speech_model`.
    """
    from transformers import AutoConfig, GenerationConfig

    name = str(checkpoint)
    check_folder(checkpoint)
    family, own = _identify(checkpoint)
    config = AutoConfig.from_pretrained(name)
    audio_config = getattr(config, "thinker_config", config).audio_config
    try:
        ends = GenerationConfig.from_pretrained(name).eos_token_id
    except OSError:  # it has none
        ends = None
    return CheckpointDescription(
        about=describe(name, own, audio_config.num_mel_bins),
        family=family,
        tokenizer=_load_tokenizer(name),
        audio_config=audio_config,
        ends=tuple(ends if isinstance(ends, list) else [] if ends is None else [ends]),
    )


def _prompts(name: str, own: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The default prompt and the wordings that ``ugsd.json`` names: ``worded`` with 6 wordings is worded-1 … worded-6.

    Raises:
        CheckpointError: If it names prompts that do not exist.
    """
    prompt, count = str(own.get("prompt", "paper")), own.get("wordings", 0)
    if not isinstance(count, int) or not 0 <= count <= 64:
        raise CheckpointError(f"{name}: ugsd.json names {count!r} wordings")
    wordings = tuple(f"{prompt}-{number}" for number in range(1, count + 1))
    for known in wordings or (prompt,):
        if known not in PROMPTS:
            raise CheckpointError(f"{name}: ugsd.json names an unknown prompt {known!r}")
    return (wordings[0] if wordings else prompt), wordings


def _head_weight(name: str, own: dict[str, Any]) -> float:
    """What ``ugsd.json`` says of the emotion head's say, 0 to 10.

    Raises:
        CheckpointError: If it is no such number.
    """
    weight = own.get("head_weight", 0.0)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0.0 <= weight <= 10.0:
        raise CheckpointError(f"{name}: ugsd.json gives the emotion head a weight of {weight!r}, not one of 0 to 10")
    return float(weight)


def _say_once(name: str, own: dict[str, Any]) -> tuple[str, ...]:
    """The words that ``ugsd.json`` wants said once at most in a caption, spelt as their token is.

    Raises:
        CheckpointError: If that is no list of texts.
    """
    words = own.get("say_once", [])
    if not isinstance(words, list) or not all(isinstance(word, str) and word for word in words):
        raise CheckpointError(f"{name}: ugsd.json names {words!r} as words to be said once, not a list of texts")
    return tuple(words)


def _looks_like_path(checkpoint: str | Path) -> bool:
    text = str(checkpoint)
    return isinstance(checkpoint, Path) or text.startswith((".", "/", "~")) or text.count("/") != 1


def check_folder(checkpoint: str | Path) -> None:
    """A plain sentence for the common mistakes with folders, before any library sees the path.

    Raises:
        CheckpointError: If a folder is meant and there is none with ``config.json``.
    """
    folder = Path(checkpoint).expanduser()
    if folder.is_file():
        raise CheckpointError(f"{checkpoint} is a file; name the folder that holds config.json and the weights")
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise CheckpointError(f"{checkpoint} holds no config.json, so it is no checkpoint folder")
    elif _looks_like_path(checkpoint):
        raise CheckpointError(f"there is no checkpoint folder {checkpoint}")


def read_own(checkpoint: str | Path) -> dict[str, Any]:
    """What ``ugsd.json`` says; nothing without one.

    Raises:
        CheckpointError: If it is damaged.
    """
    own_file = Path(checkpoint).expanduser() / "ugsd.json"
    if not own_file.is_file():
        return {}
    try:
        own: dict[str, Any] = json.loads(own_file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise CheckpointError(f"{own_file} is damaged: {error}") from error
    return own


def _identify(checkpoint: str | Path) -> tuple[Family, dict[str, Any]]:
    """Family by ``config.json``, and what ``ugsd.json`` says, if there is one."""
    from transformers import AutoConfig

    own = read_own(checkpoint)
    try:
        config = AutoConfig.from_pretrained(str(checkpoint))
    except Exception as error:  # transformers raises many kinds; the person needs one sentence
        raise CheckpointError(_sentence(checkpoint, "its config.json cannot be read", error)) from error
    return family_of(config.model_type), own


def _load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(name)
    except Exception as error:
        raise CheckpointError(_sentence(name, "its tokenizer cannot be loaded", error)) from error


def _load_model(name: str, family: Family, *, device: str, dtype: str) -> Any:
    """The thinker alone; the vision tower is dropped, since nobody looks at pictures here."""
    arguments: dict[str, Any] = dict(family.from_pretrained) | {"dtype": dtype}
    if dtype in WEIGHT_ONLY:  # what is not rounded is read as it was written
        arguments |= {"dtype": "auto", "quantization_config": quantisation_config(dtype, family.name)}
    if device == "auto":
        arguments["device_map"] = "auto"
    if Path(name).expanduser().is_dir():  # a bar is for downloads; from a disk it would only flicker
        from transformers.utils import logging

        logging.disable_progress_bar()
    try:
        rounded = read_eight_bit(Path(name).expanduser())
        if rounded is not None:
            from transformers import AutoConfig

            config = AutoConfig.from_pretrained(name)
            del config.quantization_config  # read here, without the package that it asks for
            arguments |= {"config": config, "state_dict": rounded}
        source = name if rounded is None else None
        model, report = family.model_class().from_pretrained(source, output_loading_info=True, **arguments)
        missing = [key for key in report["missing_keys"] if "visual" not in key]
        if missing:
            raise CheckpointError(
                f"{name} lacks {len(missing)} weights of a {family.class_name} (such as {sorted(missing)[0]}); "
                "it is damaged or of another kind"
            )
        model.model.visual = None
        return model.eval() if device == "auto" else model.eval().to(device)
    except CheckpointError:
        raise
    except Exception as error:
        if exhausted(error):
            raise no_room(name, device, str(dtype).removeprefix("torch.")) from error
        raise CheckpointError(_sentence(name, "its weights cannot be loaded", error)) from error


def _sentence(checkpoint: str | Path, what: str, error: Exception) -> str:
    first = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
    return f"{checkpoint} cannot be used: {what} ({first[:200]})"
