"""Where corpora may lie: nothing of the machine is read but what was allowed, and uploads go with their visitors."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

from tests.ui.bad_corpora import BAD, make_bad_corpora
from ugsd_core.errors import OptionError
from ui.clip_sounds import ClipSounds
from ui.corpus_places import EXAMPLES, CorpusPlaces


@pytest.fixture
def places(tmp_path: Path) -> CorpusPlaces:
    make_bad_corpora(tmp_path / "allowed")
    (tmp_path / "uploads").mkdir()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "manifest.csv").write_text("id,path\n", encoding="utf-8")
    return CorpusPlaces([tmp_path / "allowed"], uploads=tmp_path / "uploads")


def packed(tmp_path: Path) -> Path:
    path = tmp_path / "mine.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for file in (tmp_path / "allowed" / "fine").iterdir():
            archive.write(file, f"mine/{file.name}")
    return path


def test_only_allowed_folders_and_the_examples_can_be_chosen(places: CorpusPlaces, tmp_path: Path) -> None:
    names = {place.name for place in places.listed()}
    assert names == {*BAD, "fine", EXAMPLES}
    for key in ("", str(tmp_path / "secret"), "server/0/../secret", "server/1", "../secret"):
        with pytest.raises(OptionError, match="no such corpus"):
            places.find(key)
    assert {place.key for place in CorpusPlaces().listed()} == {EXAMPLES}


def test_the_examples_are_a_corpus_in_both_languages(places: CorpusPlaces) -> None:
    corpus = places.read(places.find(EXAMPLES))
    assert corpus.problems == () and corpus.name == "examples"
    assert len(corpus.usable("en")) == len(corpus.usable("zh")) == 6
    assert len({clip.label for clip in corpus.clips}) == 6


def test_an_error_names_the_corpus_and_not_where_it_lies(places: CorpusPlaces, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as error:
        places.read(places.find("server/0/wrong-columns"))
    assert "wrong-columns" in str(error.value) and str(tmp_path) not in str(error.value)


def test_an_upload_is_its_visitors_and_goes_with_them(places: CorpusPlaces, tmp_path: Path) -> None:
    place = places.bring("ada", packed(tmp_path))
    assert places.listed("ada")[0] == place and place.name == "mine"
    assert place.key not in {other.key for other in places.listed("ben")}
    assert len(places.read(place).usable("en")) == 12
    places.leave("ada")
    assert list((tmp_path / "uploads").iterdir()) == []


def test_an_upload_stays_while_an_evaluation_reads_it(places: CorpusPlaces, tmp_path: Path) -> None:
    place = places.bring("ada", packed(tmp_path))
    places.hold(place)
    places.leave("ada")
    assert place.folder.is_dir()
    places.release(place)
    assert list((tmp_path / "uploads").iterdir()) == []


def test_a_broken_zip_leaves_nothing_behind(places: CorpusPlaces, tmp_path: Path) -> None:
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"no zip at all")
    with pytest.raises(OptionError, match="no zip file"):
        places.bring("ada", broken)
    assert list((tmp_path / "uploads").iterdir()) == [] and places.listed("ada")[0].origin == "server"


def test_recordings_are_found_in_allowed_places_alone(places: CorpusPlaces, tmp_path: Path) -> None:
    found = places.recording("server/0/fine", "clip1.flac")
    assert found == tmp_path / "allowed" / "fine" / "clip1.flac"
    assert places.recording("", "slow_low_en.flac") is not None, "the examples are looked through too"
    outside = tmp_path / "secret" / "voice.flac"
    outside.write_bytes(found.read_bytes())
    for path in ("", "../../secret/voice.flac", str(outside), "none.flac"):
        assert places.recording("server/0/fine", path) is None
    (tmp_path / "allowed" / "fine" / "link.flac").symlink_to(outside)
    assert places.recording("server/0/fine", "link.flac") is None


def test_one_recording_a_visitor_is_served_and_goes_with_the_next(places: CorpusPlaces, tmp_path: Path) -> None:
    sounds = ClipSounds(tmp_path / "uploads")
    recording = places.recording("server/0/fine", "clip1.flac")
    first = sounds.write("ada", recording)
    second = sounds.write("ada", recording)
    assert second.is_file() and not first.exists()
    sounds.leave("ada")
    assert list((tmp_path / "uploads").iterdir()) == []
