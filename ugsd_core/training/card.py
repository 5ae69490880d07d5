"""The model card of a checkpoint, written from measured figures so that it cannot promise more than was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ugsd_core.errors import CheckpointError
from ugsd_core.models.eight_bit import EIGHT_BIT_FILE
from ugsd_core.training.build import size_of

__all__ = ["render_card", "write_card"]

CORPUS_TITLES = {"ravdess": "RAVDESS (English)", "nemo": "nEMO (Polish)", "emodb": "EMO-DB (German)"}

FRONT = """---
license: cc-by-nc-sa-4.0
language:
- en
- zh
library_name: transformers
pipeline_tag: audio-text-to-text
tags:
- speech-emotion-recognition
- emotion-captioning
- speculative-decoding
base_model: {base}
---
"""

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
```

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

The macro mean weighs corpora alike; nEMO's size would rule a pooled figure. Test sets are small and have two speakers a
corpus: differences of a few points are noise.

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

model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(folder)
tokenizer = AutoTokenizer.from_pretrained(folder)"""
EIGHT_BIT_SNIPPET = """from pathlib import Path
from transformers import AutoConfig, AutoTokenizer, Qwen2_5OmniThinkerForConditionalGeneration
from ugsd_core.models.eight_bit import read_eight_bit

model = Qwen2_5OmniThinkerForConditionalGeneration.from_pretrained(
    None, config=AutoConfig.from_pretrained(folder), state_dict=read_eight_bit(Path(folder))
)
tokenizer = AutoTokenizer.from_pretrained(folder)"""


def _table(figures: Sequence[dict[str, Any]]) -> str:
    """A Markdown table: a row for each split and language, a column for each corpus."""
    corpora = [name for name in CORPUS_TITLES if any(name in one["corpora"] for one in figures)]
    head = ["split", "captions", *(CORPUS_TITLES[name] for name in corpora), "macro mean"]
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for one in figures:
        cells = [
            f"{row['accuracy']:.3f} ({row['right']}/{row['n']})" for row in map(one["corpora"].get, corpora) if row
        ]
        lines.append(f"| {one['split']} | {one['language']} | {' | '.join(cells)} | {one['macro']:.3f} |")
    return "\n".join(lines)


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
    return FRONT.format(base=base) + BODY.format(
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
        snippet=EIGHT_BIT_SNIPPET if eight_bit else SNIPPET,
    )


def write_card(checkpoint: Path, role: str, figures: Sequence[dict[str, Any]]) -> Path:
    """Write ``README.md`` of a checkpoint; returns its path.

    Raises:
        CheckpointError: If the folder holds no checkpoint.
    """
    from safetensors import safe_open

    eight_bit = (checkpoint / EIGHT_BIT_FILE).is_file()
    weights = checkpoint / (EIGHT_BIT_FILE if eight_bit else "model.safetensors")
    if not weights.is_file():
        raise CheckpointError(f"{checkpoint} holds no model.safetensors; train it first")
    parameters = 0
    with safe_open(str(weights), "np") as tensors:
        for name in tensors.keys():  # noqa: SIM118 - not a mapping
            if "visual." not in name and not name.endswith(".scale"):
                count = 1
                for side in tensors.get_slice(name).get_shape():
                    count *= side
                parameters += count
    config = json.loads((checkpoint / "config.json").read_text(encoding="utf-8"))
    card = checkpoint / "README.md"
    card.write_text(render_card(role, config, parameters, figures, eight_bit=eight_bit), encoding="utf-8")
    return card
