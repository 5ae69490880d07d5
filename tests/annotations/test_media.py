"""The media folder: copies under names that tell nothing, and no way out of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ugsd_core.annotations.errors import AnnotationError
from ugsd_core.annotations.media import Media, Sound, default_media


def test_a_recording_is_kept_once_by_its_content(media: Media, tmp_path: Path) -> None:
    (tmp_path / "1001_ANG.WAV").write_bytes(b"RIFF")
    name = media.keep_audio("c", tmp_path / "1001_ANG.WAV")
    assert name == media.keep_audio("c", Sound(b"RIFF")) and name.endswith(".wav") and "ANG" not in name
    assert media.audio("c", name).read_bytes() == b"RIFF"
    assert len(list((media.root / "c" / "audio").iterdir())) == 1


@pytest.mark.parametrize("name", ["../../secret.wav", "/etc/passwd", "0" * 16 + ".wav", ""])
def test_only_what_was_kept_is_found(media: Media, name: str) -> None:
    with pytest.raises(AnnotationError):
        media.audio("c", name)


def test_a_campaign_cannot_lead_out_of_the_folder(media: Media) -> None:
    with pytest.raises(AnnotationError):
        media.keep_audio("..", Sound(b"RIFF"))


def test_what_is_no_sound_file_is_refused(media: Media, tmp_path: Path) -> None:
    with pytest.raises(AnnotationError, match="suffix"):
        media.keep_audio("c", Sound(b"x", ".tar.gz"))
    with pytest.raises(AnnotationError, match="can't be kept"):
        media.keep_audio("c", tmp_path / "missing.wav")


def test_removing_is_exact(media: Media) -> None:
    name = media.keep_audio("c", Sound(b"RIFF"))
    assert not media.remove("c", audio="../audio/" + name)
    assert media.remove("c", audio=name) and not media.remove("c", audio=name)


def test_the_folder_lies_beside_the_store(tmp_path: Path) -> None:
    assert default_media(tmp_path / "a.db").root == tmp_path / "a.media"
    assert default_media(None).root == Path("annotation-media")
