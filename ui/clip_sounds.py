"""The one recording that each visitor listens to, as the models hear it: mono, 16 kHz, at most 30 s."""

from __future__ import annotations

from pathlib import Path

from ui.session_folders import SessionFolders

__all__ = ["ClipSounds"]


class ClipSounds(SessionFolders):
    """One file a session; it goes when another comes and when the session ends. Safe for many threads."""

    def write(self, session: str, recording: Path) -> Path:
        """Decode a recording of a corpus, video files too, and write it where the page may serve it.

        Raises:
            AudioError: If it can't be decoded, or nothing is in it.
        """
        import soundfile

        from ugsd_core.acoustic import SAMPLE_RATE_HZ
        from ugsd_core.audio import load_utterance

        utterance = load_utterance(recording, first_30_s=True)
        folder = self._new("clip-")
        soundfile.write(folder / "clip.wav", utterance.samples, SAMPLE_RATE_HZ, subtype="PCM_16")
        self._hold(session, folder)
        return folder / "clip.wav"
