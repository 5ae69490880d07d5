"""Make the example clips and `examples.json` beside this file, from our own sentences, with espeak-ng.

    apt-get install espeak-ng
    python assets/examples/make_examples.py

Every clip has its own prosody: pitch, pitch range, rate, pauses, voice quality and level. The titles say how a clip
was made, not which emotion it has: nobody felt anything, and the models are free to hear what they hear.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile  # type: ignore[import-untyped]
import soxr  # type: ignore[import-untyped]
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
SAMPLE_RATE_HZ = 16_000


@dataclass(frozen=True, slots=True)
class Example:
    """One clip.

    Attributes:
        id: Name of the clip and of its file.
        title_en, title_zh: What the page shows.
        language: BCP 47 tag of the sentence.
        voice: espeak-ng voice and variant.
        sentence: What is said; ``|`` is a pause of `pause_ms`.
        meaning_en: The sentence in English.
        pitch: espeak-ng pitch, 0 to 99 (50 is the voice's own).
        pitch_range: Melody in per cent of the voice's own; 0 is monotone.
        words_per_minute: Speaking rate.
        pause_ms: Length of a pause.
        peak_dbfs: Peak level of the clip.
    """

    id: str
    title_en: str
    title_zh: str
    language: str
    voice: str
    sentence: str
    meaning_en: str
    pitch: int
    pitch_range: int
    words_per_minute: int
    pause_ms: int
    peak_dbfs: float

    @property
    def command(self) -> list[str]:
        """The espeak-ng command line."""
        text = self.sentence.replace("|", f'<break time="{self.pause_ms}ms"/>')
        ssml = f'<speak><prosody range="{self.pitch_range}%">{text}</prosody></speak>'
        return [
            *("espeak-ng", "-m", "-v", self.voice, "-p", str(self.pitch), "-s", str(self.words_per_minute)),
            *("--stdout", ssml),
        ]


EXAMPLES = (
    Example(
        id="fast_high_en",
        title_en="Fast, high, lively (English)",
        title_zh="快速、高音、活泼（英语）",
        language="en",
        voice="en-us+f2",
        sentence="We won! | We really won! I can't believe it, come and look at this!",
        meaning_en="We won! We really won! I can't believe it, come and look at this!",
        pitch=80,
        pitch_range=180,
        words_per_minute=215,
        pause_ms=120,
        peak_dbfs=-2.0,
    ),
    Example(
        id="slow_low_en",
        title_en="Slow, low, with pauses (English)",
        title_zh="缓慢、低沉、有停顿（英语）",
        language="en",
        voice="en-gb+m3",
        sentence="I waited until evening. | Nobody came.",
        meaning_en="I waited until evening. Nobody came.",
        pitch=18,
        pitch_range=50,
        words_per_minute=105,
        pause_ms=500,
        peak_dbfs=-12.0,
    ),
    Example(
        id="whisper_en",
        title_en="Whispered (English)",
        title_zh="耳语（英语）",
        language="en",
        voice="en-gb+whisper",
        sentence="Quiet now. | There is somebody behind the door.",
        meaning_en="Quiet now. There is somebody behind the door.",
        pitch=50,
        pitch_range=100,
        words_per_minute=150,
        pause_ms=250,
        peak_dbfs=-15.0,
    ),
    Example(
        id="loud_sharp_de",
        title_en="Loud, sharp, pressed (German)",
        title_zh="响亮、尖锐、紧绷（德语）",
        language="de",
        voice="de+m4",
        sentence="Das habe ich dir schon dreimal gesagt! | Jetzt hör endlich zu!",
        meaning_en="I have told you that three times already! Now listen at last!",
        pitch=85,
        pitch_range=190,
        words_per_minute=195,
        pause_ms=150,
        peak_dbfs=-1.0,
    ),
    Example(
        id="flat_even_pl",
        title_en="Flat and even (Polish)",
        title_zh="平淡、均匀（波兰语）",
        language="pl",
        voice="pl+m1",
        sentence="Zebranie przeniesiono na czwartek. Proszę zabrać te same dokumenty.",
        meaning_en="The meeting has been moved to Thursday. Please bring the same papers.",
        pitch=60,
        pitch_range=0,
        words_per_minute=165,
        pause_ms=0,
        peak_dbfs=-8.0,
    ),
    Example(
        id="rising_question_zh",
        title_en="Rising questions, unsteady (Mandarin)",
        title_zh="疑问上扬、起伏不定（普通话）",
        language="zh",
        voice="cmn-latn-pinyin+f4",
        sentence="你怎么现在才回来？ | 路上出了什么事？",
        meaning_en="Why are you back only now? Did something happen on the way?",
        pitch=62,
        pitch_range=140,
        words_per_minute=180,
        pause_ms=200,
        peak_dbfs=-5.0,
    ),
)


def synthesise(example: Example) -> NDArray[np.int16]:
    """The clip as int16, shape (n,), 16 kHz, without the silence that espeak-ng leaves at its end."""
    wav = subprocess.run(example.command, check=True, capture_output=True).stdout
    samples, rate_hz = soundfile.read(io.BytesIO(wav), dtype="float64")
    samples = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, quality="VHQ")
    samples -= samples.mean()
    heard = np.flatnonzero(np.abs(samples) > 0.01 * np.abs(samples).max())
    margin = SAMPLE_RATE_HZ // 10
    samples = samples[max(heard[0] - margin, 0) : heard[-1] + margin]
    samples *= 10.0 ** (example.peak_dbfs / 20.0) / np.abs(samples).max()
    levels: NDArray[np.int16] = np.rint(samples * 32767.0).astype(np.int16)
    return levels


def main() -> None:
    version = subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout
    version = version.split("Data at")[0].split(":")[-1].strip()
    records = []
    for example in EXAMPLES:
        samples = synthesise(example)
        file = f"{example.id}.flac"
        soundfile.write(FOLDER / file, samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        records.append(
            {
                "id": example.id,
                "file": file,
                "title": {"en": example.title_en, "zh": example.title_zh},
                "sentence": example.sentence.replace(" | ", "" if example.language == "zh" else " "),
                "meaning_en": example.meaning_en,
                "language": example.language,
                "duration_s": round(len(samples) / SAMPLE_RATE_HZ, 2),
                "made_with": {"espeak_ng": version, "command": example.command, "peak_dbfs": example.peak_dbfs},
                "licence": "CC0-1.0",
                "pcm_sha256": hashlib.sha256(samples.astype("<i2").tobytes()).hexdigest(),
            }
        )
        print(f"{file}: {len(samples) / SAMPLE_RATE_HZ:.2f} s, {(FOLDER / file).stat().st_size} bytes")
    text = json.dumps(records, ensure_ascii=False, indent=2) + "\n"
    (FOLDER / "examples.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
