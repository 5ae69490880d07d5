"""Read the clips of a split once, with both sides, into records (`ugsd_core.calibration.records`).

The edge drafts each caption alone. The verifier reads the edge's own tokens in one forward pass, so that its view of
every position behind the edge's prefix is known, and writes its own caption besides. Where the verifier would put
another token at an emotion position, the edge writes on behind that token, to see which label the caption names then.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ugsd_core.acoustic import AcousticCode, encode_waveform
from ugsd_core.audio import Utterance
from ugsd_core.calibration.clips import load_clip
from ugsd_core.calibration.memo import MemoModel
from ugsd_core.calibration.progress import Progress
from ugsd_core.calibration.reading import label_index, named_label
from ugsd_core.calibration.records import ClipRecord, PositionRecord, TokenColumns, append_record, read_records
from ugsd_core.calibration.signals import read_signals
from ugsd_core.corpora.clip import CorpusClip
from ugsd_core.draft_block import DraftToken
from ugsd_core.drafter import StreamDrafter
from ugsd_core.errors import AudioError
from ugsd_core.models.loading import limit_threads, load_speech_model
from ugsd_core.models.prompts import Language
from ugsd_core.models.speech_model import SpeechModel
from ugsd_core.options import DecodingOptions
from ugsd_core.uncertainty import Distribution, distribution
from ugsd_core.verifier import TorchVerifier, check_pair

__all__ = ["MemoPair", "collect", "collect_clip", "finish_lines"]

#: Alternatives read from a distribution; only the best is used here.
TOP_K = 2
#: Replacements followed in a row: a degree word for an emotion word, then another emotion word, is two.
DEPTH = 3

_NOTHING: tuple[PositionRecord, ...] = ()


@dataclass(frozen=True, eq=False)
class MemoPair:
    """An edge and a verifier that fit each other, both with a memory."""

    edge: MemoModel
    verifier: MemoModel

    @classmethod
    def load(cls, edge: str | Path, verifier: str | Path) -> MemoPair:
        """Load two checkpoints.

        Raises:
            CheckpointError, OptionError: As `load_speech_model`.
            HandshakeRefused: If they don't share a tokenizer or an acoustic code.
        """
        return cls.of(load_speech_model(edge), load_speech_model(verifier))

    @classmethod
    def of(cls, edge: SpeechModel, verifier: SpeechModel) -> MemoPair:
        """Give two loaded models a memory.

        Raises:
            HandshakeRefused: If they don't share a tokenizer or an acoustic code.
        """
        check_pair(edge.info, verifier.info)
        limit_threads(edge)
        limit_threads(verifier)
        return cls(MemoModel.of(edge), MemoModel.of(verifier))

    def drafter(self) -> StreamDrafter:
        """The edge as the loop holds it."""
        return StreamDrafter(self.edge)

    def judge(self) -> TorchVerifier:
        """The verifier as a link holds it."""
        return TorchVerifier(self.verifier)

    def encode(self, utterance: Utterance) -> AcousticCode:
        """The acoustic code that both read."""
        return encode_waveform(utterance.samples, self.edge.features)


def collect(
    pair: MemoPair,
    clips: Sequence[CorpusClip],
    languages: Sequence[Language],
    path: Path,
    *,
    mc_dropout_samples: int = 0,
    skipped: list[str] | None = None,
) -> list[ClipRecord]:
    """Read clips into a file of records; what is there already is kept and not read again.

    Args:
        path: JSON lines, one a clip and language; made if missing.
        mc_dropout_samples: 0, or 2…64 dropout samples a token.
        skipped: Gets a sentence for every clip that can't be read.

    Raises:
        OptionError: If the file holds something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    finish_lines(path)
    known = {record.key: record for record in read_records([path])}
    wanted = [(clip, language) for clip in clips for language in languages]
    missing = [(clip, language) for clip, language in wanted if (clip.corpus, clip.id, language) not in known]
    with Progress("reading clips", len(wanted), len(wanted) - len(missing)) as progress:
        for clip, its_languages in _by_clip(missing):
            try:
                utterance = load_clip(clip)
            except AudioError as error:
                if skipped is not None:
                    skipped.append(f"{clip.corpus}/{clip.id}: {error}")
                progress.step(len(its_languages))
                continue
            for language in its_languages:
                options = DecodingOptions(mode="edge", language=language, mc_dropout_samples=mc_dropout_samples)
                record = collect_clip(pair, clip, utterance, options)
                append_record(path, record)
                known[record.key] = record
                progress.step()
    return [known[key] for clip, lang in wanted if (key := (clip.corpus, clip.id, lang)) in known]


def _by_clip(
    wanted: Iterable[tuple[CorpusClip, Language]],
) -> Iterator[tuple[CorpusClip, list[Language]]]:
    """The languages of each clip together, so that a recording is read once."""
    groups: dict[tuple[str, str], tuple[CorpusClip, list[Language]]] = {}
    for clip, language in wanted:
        groups.setdefault((clip.corpus, clip.id), (clip, []))[1].append(language)
    yield from groups.values()


def finish_lines(path: Path) -> None:
    """Drop a last line that a killed run left unfinished, so that the next one is not joined to it; make the file."""
    content = path.read_bytes() if path.is_file() else b""
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content or not path.is_file():
        path.write_bytes(whole)


def collect_clip(pair: MemoPair, clip: CorpusClip, utterance: Utterance, options: DecodingOptions) -> ClipRecord:
    """Everything about one clip in one language."""
    return _Reading(pair, utterance, options).record(clip)


class _Reading:
    """One clip in one language on both sides."""

    def __init__(self, pair: MemoPair, utterance: Utterance, options: DecodingOptions) -> None:
        self.pair = pair
        self.utterance = utterance
        self.options = options
        self.code = pair.encode(utterance)
        self.drafter = pair.drafter()
        self.prompt = self.drafter.prompt_name(options, utterance.id)
        self.verifier = pair.verifier.open(self.code, self.prompt, options.language)
        self.names_of = pair.verifier.emotion_tokens(options.language)

    def record(self, clip: CorpusClip) -> ClipRecord:
        drafted = self.draft([])
        ids = [token.token_id for token in drafted]
        seen = self.judged([], ids)
        edge_caption = self.pair.edge.decode(ids)
        edge_label = named_label(edge_caption, self.options.language)
        cloud_caption = self.pair.verifier.decode(self.cloud())
        return ClipRecord(
            id=clip.id,
            corpus=clip.corpus,
            speaker=clip.speaker,
            sex=clip.sex,
            language=self.options.language,
            label=label_index(clip.label),
            edge_caption=edge_caption,
            cloud_caption=cloud_caption,
            edge_label=edge_label,
            cloud_label=named_label(cloud_caption, self.options.language),
            tokens=_columns(drafted, seen),
            positions=self.positions([], drafted, seen, edge_label, DEPTH),
            head=_posterior(self.pair.edge.open(self.code, self.prompt, self.options.language).label_posterior),
        )

    def draft(self, prefix: Sequence[int]) -> list[DraftToken]:
        """What the edge drafts behind some ids, to the end."""
        draft = self.drafter.begin(self.code, self.options, self.utterance.id)
        for token_id in prefix:
            draft.append(token_id, last=False)
        drafted: list[DraftToken] = []
        most = self.options.max_tokens - len(prefix)
        while len(drafted) < most and not (drafted and drafted[-1].token_id in self.drafter.end_ids):
            drafted.append(draft.next(0, last=len(drafted) == most - 1))
        return drafted

    def cloud(self) -> list[int]:
        """Ids of the verifier's own greedy caption."""
        stream = self.pair.verifier.open(self.code, self.prompt, self.options.language)
        ids = [int(stream.next_logits().argmax())]
        while len(ids) < self.options.max_tokens and ids[-1] not in self.drafter.end_ids:
            ids.append(int(stream.feed(ids[-1:], rows=1)[0].argmax()))
        return ids

    def judged(self, prefix: Sequence[int], ids: Sequence[int]) -> list[Distribution]:
        """The verifier's view of each of some ids behind a prefix."""
        stream = self.pair.verifier.open(self.code, self.prompt, self.options.language)
        rows = stream.feed([*prefix, *ids], rows=len(ids) + 1)
        return [distribution(row, TOP_K) for row in rows[:-1]]

    def positions(
        self,
        prefix: Sequence[int],
        drafted: Sequence[DraftToken],
        seen: Sequence[Distribution],
        label: int | None,
        depth: int,
    ) -> tuple[PositionRecord, ...]:
        """The emotion positions of what was drafted behind a prefix.

        Args:
            seen: The verifier's view of each drafted token.
            label: The label that the caption names so.
            depth: How many replacements are followed in a row.
        """
        return tuple(
            self.position(
                [*prefix, *(t.token_id for t in drafted[:n])], token, _before(drafted, n), seen[n], label, depth
            )
            for n, token in enumerate(drafted)
            if token.signals.label_mass is not None
        )

    def position(
        self, prefix: list[int], token: DraftToken, before: float, seen: Distribution, label: int | None, depth: int
    ) -> PositionRecord:
        signals = read_signals(token.signals) | {
            "mc_dropout": token.signals.mc_dropout_nats,
            "instability": abs(token.signals.entropy_nats - before),
        }
        after, then = label, _NOTHING
        if seen.best != token.token_id:
            after, then = self.behind([*prefix, seen.best], depth - 1)
        return PositionRecord(
            position=token.position,
            token_id=token.token_id,
            label=self.pair.edge.emotion_tokens(self.options.language).label_of(token.token_id),
            signals=signals,
            text=token.signals.label_mass or (),
            verifier=_floats(self.names_of.masses_of(seen)),
            best_id=seen.best,
            best_label=self.names_of.label_of(seen.best),
            rank=seen.rank(token.token_id),
            label_after=after,
            then=then,
        )

    def behind(self, prefix: list[int], depth: int) -> tuple[int | None, tuple[PositionRecord, ...]]:
        """What the edge writes behind the verifier's token: the caption's label then, and the positions in it."""
        ended = prefix[-1] in self.drafter.end_ids or len(prefix) >= self.options.max_tokens
        drafted = [] if ended else self.draft(prefix)
        ids = [token.token_id for token in drafted]
        label = named_label(self.pair.edge.decode([*prefix, *ids]), self.options.language)
        if depth <= 0 or not drafted:
            return label, ()
        return label, self.positions(prefix, drafted, self.judged(prefix, ids), label, depth)


def _before(drafted: Sequence[DraftToken], n: int) -> float:
    """Entropy of the token before, for the instability of a block of one token; its own where none was drafted."""
    return drafted[max(0, n - 1)].signals.entropy_nats


def _columns(drafted: Sequence[DraftToken], seen: Sequence[Distribution]) -> TokenColumns:
    signals = [token.signals for token in drafted]
    return TokenColumns(
        token_id=tuple(token.token_id for token in drafted),
        emotion=tuple(token.emotion is not None for token in drafted),
        entropy=tuple(s.entropy_nats for s in signals),
        margin=tuple(1.0 - s.margin for s in signals),
        nll=tuple(s.nll_nats for s in signals),
        mc_dropout=tuple(s.mc_dropout_nats for s in signals if s.mc_dropout_nats is not None),
        rank=tuple(entry.rank(token.token_id) for token, entry in zip(drafted, seen, strict=True)),
    )


def _floats(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


def _posterior(values: Iterable[float] | None) -> tuple[float, ...] | None:
    return None if values is None else _floats(values)
