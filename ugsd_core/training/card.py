"""The model card of a checkpoint, written from measured figures so that it cannot promise more than was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import sqrt
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError
from ugsd_core.models.eight_bit import is_eight_bit
from ugsd_core.training.build import size_of

__all__ = ["render_card", "wilson", "write_card"]

CORPUS_TITLES = {"ravdess": "RAVDESS (English)", "nemo": "nEMO (Polish)", "emodb": "EMO-DB (German)"}

#: Where the hub has a corpus, for readers of the card; no clip was taken from there.
HUB_DATASETS = {"ravdess": "narad/ravdess", "nemo": "amu-cai/nEMO"}
#: Emotion right through the whole program, mean over corpora in percent, with the interval that resamples speakers:
#: docs/evaluation.md (a test compares).
IN_THE_LOOP = {
    "edge": {"en": "66.8 (61–72)", "zh": "67.9 (62–73)"},
    "verifier": {"en": "74.5 (70–78)", "zh": "74.6 (70–78)"},
}

BODY = """
# {title}

{what}

It is one half of the embedded pair of UGSD Studio: the *edge* model drafts a caption on the device, the *verifier*
judges the blocks that are worth asking about. Both share one tokenizer and read the same acoustic code.

| | |
|---|---|
| class | `Qwen2_5OmniThinkerForConditionalGeneration` (transformers), weights in {weights} |
| parameters | {parameters:.1f} M (audio tower and text decoder; the vision tower is vestigial) |
| audio tower | {layers} of OpenAI's Whisper (`{base}`, MIT), then fine-tuned end to end |
| text decoder | {decoder_layers} layers, width {width}, trained from scratch |
| input | 16-kHz speech of up to 30 s as an 80-bin log-mel spectrogram, peak-levelled, 4 bits a value (`ugsd.json`) |
| output | one caption in English or Chinese: vocal cues, then the emotion |

## Use

```python
{snippet}
```{note}

The request is one of the prompts `worded-1` to `worded-6` of `ugsd_core.models.prompts`, the features are those of
`ugsd_core.acoustic`; another prompt or front end is outside what the model has seen. `emotion_head.safetensors` holds a
linear layer on the mean of the audio vectors (labels in its metadata), trained beside the captions: a posterior p over
emotions from sound alone. In this program `head_weight * log(p / max p)` is added to the logits of emotion words, and
the figures below were measured so.

## Training data

Acted speech, 4,008 training clips: RAVDESS actors 1-18 (1,080 clips, CC BY-NC-SA 4.0), nEMO, five speakers (2,696, CC
BY-NC-SA 4.0), and EMO-DB, six speakers (232, CC BY 4.0 as listed by a co-author's project). Because two of them are
non-commercial and share-alike, **so are these weights** (CC BY-NC-SA 4.0); the program's code is not affected. No other
recording was used.

The captions were written by a grammar (`ugsd_core/training/grammar.py`) from the emotion label, RAVDESS's intensity and
**measured** cues: pitch and pitch range (SwiftF0), pace, pauses and spectral balance. A cue is named
when it lies in the outer 15 % of the training clips of the same sex, corpora weighing alike (`cues.json`), three at
most.

## Figures

Greedy captions of speakers that training has not heard; right when the *first emotion word of the caption* names the
label. Nine labels. {untouched}

{table}

In brackets: right/all; 95 % interval by Wilson's formula. It takes clips as independent of each other, but a corpus has
two test speakers, so what is unknown is more than it says. The macro mean weighs corpora alike; nEMO's size would rule
a pooled figure. Differences of a few points are noise.

Counted a second time through the whole program, resampling speakers and their clips ({role_alone} in
`docs/evaluation.md`): mean over corpora {loop_en} % in English and {loop_zh} % in Chinese.

## Limits

- Acted emotions of few speakers, clean recordings, sentences without emotional content. Spontaneous speech, noise,
  children, other languages and mixed emotions are outside the data; expect much less there.
- The emotion named is how a voice *sounds* to a small model. It is not a finding about what a person feels, and must
  not be used to judge people, least of all at work, in education, by the police or in care.
- Boredom occurs in EMO-DB alone and calm in RAVDESS alone, so both labels partly follow the recording.
- Cue words are relative to training voices of the same sex: "low" means low for such a voice.
- The captions know the grammar's words only.
"""


UNTOUCHED = {
    "edge": "Nothing was chosen by these speakers.",
    "verifier": "It was chosen by development speakers alone; of an earlier edition, from which its decoder went on,\n"
    "candidates had been dropped after a look at these speakers.",
}
SNIPPET = """from transformers import AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration

model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(folder, dtype="float32")
tokenizer = AutoTokenizer.from_pretrained(folder)"""
EIGHT_BIT_NOTE = """

The file is in the form of the package *compressed-tensors*, which transformers asks for: `pip install
compressed-tensors`. UGSD Studio itself reads it without. `ugsd checkpoints export edge DIR` writes the same weights as
plain floats."""


def _table(figures: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: a row for each split and language, a column for each corpus."""
    corpora = [name for name in CORPUS_TITLES if any(name in one["corpora"] for one in figures)]
    head = ["split", "captions", *(CORPUS_TITLES[name] for name in corpora), "macro mean"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for one in figures:
        cells = [_cell(row) for row in map(one["corpora"].get, corpora) if row]
        low, high = _macro_interval(list(one["corpora"].values()))
        macro = f"{one['macro']:.3f} ({low:.3f}–{high:.3f})"
        lines.append(f"| {one['split']} | {one['language']} | {' | '.join(cells)} | {macro} |")
    return "\n".join(lines)


def _cell(row: dict[str, Any]) -> str:
    low, high = wilson(row["right"], row["n"])
    return f"{row['accuracy']:.3f} ({row['right']}/{row['n']}; {low:.3f}–{high:.3f})"


def wilson(right: int, n: int, z: float = 1.96) -> tuple[float, float]:
    """Ends of Wilson's interval of a share of ``n`` independent cases, at 95 % unless told."""
    share, extra = right / n, z * z / n
    middle = (share + extra / 2) / (1 + extra)
    half = z / (1 + extra) * sqrt(share * (1 - share) / n + extra / (4 * n))
    return middle - half, middle + half


def _macro_interval(rows: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """Interval of a mean over corpora: distances of Wilson's ends from the shares, added as variances are."""
    shares = [row["right"] / row["n"] for row in rows]
    ends = [wilson(row["right"], row["n"]) for row in rows]
    down = sqrt(sum((share - low) ** 2 for share, (low, _) in zip(shares, ends, strict=True)))
    up = sqrt(sum((high - share) ** 2 for share, (_, high) in zip(shares, ends, strict=True)))
    mean = sum(shares) / len(shares)
    return mean - down / len(shares), mean + up / len(shares)


def _front(role: str, base: str, figures: Sequence[dict[str, Any]]) -> str:
    """The hub's metadata fields as YAML, with every figure of the table in ``model-index``."""
    from huggingface_hub import EvalResult, ModelCardData

    results = [
        EvalResult(
            task_type="audio-classification",
            task_name="emotion named in a caption",
            dataset_type=HUB_DATASETS.get(corpus, corpus),
            dataset_name=CORPUS_TITLES[corpus],
            dataset_config=f"captions in {one['language']}",  # results with the same names would become one
            dataset_split=one["split"],
            metric_type="accuracy",
            metric_name="emotion right",
            metric_value=round(row["right"] / row["n"], 4),
            metric_args={
                "n": row["n"],
                "right": row["right"],
                "interval_95": [round(end, 4) for end in wilson(row["right"], row["n"])],
                "interval_method": "Wilson",
            },
        )
        for one in figures
        for corpus, row in one["corpora"].items()
    ]
    data = ModelCardData(
        license="cc-by-nc-sa-4.0",
        language=["en", "zh"],
        library_name="transformers",
        pipeline_tag="audio-text-to-text",
        tags=["speech-emotion-recognition", "emotion-captioning", "speculative-decoding"],
        base_model=base,
        datasets=list(HUB_DATASETS.values()),
        metrics=["accuracy"],
        model_name=f"UGSD {role}",
        eval_results=results,
    )
    return f"---\n{data.to_yaml()}\n---\n"


def render_card(
    role: str, config: dict[str, Any], parameters: int, figures: Sequence[dict[str, Any]], *, eight_bit: bool = False
) -> str:
    """The model card as Markdown with the hub's front matter.

    Args:
        role: ``"edge"`` or ``"verifier"``.
        config: The checkpoint's ``config.json``.
        parameters: Parameters of audio tower and decoder.
        figures: What ``ugsd train evaluate`` printed, one for each split and language.
        eight_bit: The weights are kept in eight bits.
    """
    size = size_of(role)
    base = f"openai/{size.encoder}"
    total = {"whisper-tiny.en": 4, "whisper-base": 6}[size.encoder]
    layers = f"the encoder ({total} layers)" if size.tower_layers == total else f"the first {size.tower_layers} layers"
    what = {
        "edge": "A very small model that hears speech and writes one sentence or two about how it sounds.",
        "verifier": "A small model that hears speech and judges, or writes, a caption of how it sounds.",
    }[role]
    return _front(role, base, figures) + BODY.format(
        title=f"UGSD {role}",
        what=what,
        parameters=parameters / 1e6,
        layers=layers,
        base=base,
        decoder_layers=config["text_config"]["num_hidden_layers"],
        width=config["text_config"]["hidden_size"],
        table=_table(figures),
        untouched=UNTOUCHED[role],
        weights="eight bits a value, a scale a row" if eight_bit else "fp16",
        snippet=SNIPPET,
        note=EIGHT_BIT_NOTE if eight_bit else "",
        role_alone={"edge": "edge-only", "verifier": "cloud-only"}[role],
        loop_en=IN_THE_LOOP[role]["en"],
        loop_zh=IN_THE_LOOP[role]["zh"],
    )


def write_card(checkpoint: Path, role: str, figures: Sequence[dict[str, Any]]) -> Path:
    """Write ``README.md`` of a checkpoint; returns its path.

    Raises:
        CheckpointError: If the folder holds no checkpoint.
    """
    from safetensors import safe_open

    weights = checkpoint / "model.safetensors"
    if not weights.is_file():
        raise CheckpointError(f"{checkpoint} holds no model.safetensors; train it first")
    parameters = 0
    with safe_open(str(weights), "np") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - not a mapping
            if "visual." not in name and not name.endswith("_scale"):
                count = 1
                for side in tensors.get_slice(name).get_shape():
                    count *= side
                parameters += count
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    card = checkpoint / "README.md"
    text = render_card(role, config, parameters, figures, eight_bit=is_eight_bit(config))
    card.write_text(text, encoding="utf-8")
    return card
