"""Uploads are unpacked without trusting them; what is refused leaves nothing behind."""

from __future__ import annotations

import stat
import zipfile
from pathlib import Path

import pytest

from ugsd_core.corpora import UnpackLimits, read_corpus, unpack
from ugsd_core.errors import OptionError

TABLE = "id,path,emotion\na,a.wav,calm\n"


def packed(path: Path, files: dict[str, bytes | str], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "unpacked"


def test_a_corpus_is_unpacked_and_read(tmp_path: Path, folder: Path) -> None:
    steps: list[tuple[int, int]] = []
    archive = packed(tmp_path / "c.zip", {"manifest.csv": TABLE, "a.wav": b"x" * 10})
    found = unpack(archive, folder, progress=lambda done, total: steps.append((done, total)))
    assert found == folder and steps[-1] == (len(TABLE) + 10, len(TABLE) + 10)
    corpus = read_corpus(found)
    assert corpus.clips[0].path == folder / "a.wav" and not corpus.problems


def test_one_folder_is_entered_and_leftovers_of_systems_ignored(tmp_path: Path, folder: Path) -> None:
    archive = packed(
        tmp_path / "c.zip",
        {
            "my corpus/manifest.csv": TABLE,
            "my corpus/a.wav": b"x",
            "my corpus/.DS_Store": b"x",
            "__MACOSX/my corpus/._a.wav": b"x",
            "Thumbs.db": b"x",
        },
    )
    found = unpack(archive, folder)
    assert found == folder / "my corpus"
    assert sorted(path.name for path in folder.rglob("*")) == ["a.wav", "manifest.csv", "my corpus"]


def test_names_survive_whoever_packed_them(tmp_path: Path, folder: Path) -> None:
    raw = {"录音一.wav": "utf-8", "录音二.wav": "gbk"}  # macOS and Windows write such names without saying which
    stand_ins = {name: f"{n}" * len(name.encode(encoding)) for n, (name, encoding) in enumerate(raw.items())}
    archive = packed(
        tmp_path / "c.zip", {**{name: b"x" for name in stand_ins.values()}, "说明.txt": b"x", "s\\w.wav": b"x"}
    )
    content = archive.read_bytes()
    for name, encoding in raw.items():
        content = content.replace(stand_ins[name].encode(), name.encode(encoding))
    archive.write_bytes(content)
    unpack(archive, folder)
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {*raw, "说明.txt", "s/w.wav"}


@pytest.mark.parametrize(
    "name", ["../x.wav", "/etc/x.wav", "a/../../x.wav", "C:/x.wav", "..\\x.wav", "\\\\host\\share\\x.wav"]
)
def test_a_file_that_leads_out_ends_it(tmp_path: Path, folder: Path, name: str) -> None:
    archive = packed(tmp_path / "c.zip", {"manifest.csv": TABLE, name: b"x"})
    with pytest.raises(OptionError, match="outside"):
        unpack(archive, folder)
    assert not any(folder.iterdir()) and {path.name for path in tmp_path.iterdir()} == {"c.zip", "unpacked"}


def test_a_link_ends_it(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        info = zipfile.ZipInfo("a.wav")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(OptionError, match="link"):
        unpack(tmp_path / "c.zip", folder)


def test_a_password_is_said(tmp_path: Path, folder: Path) -> None:
    archive = packed(tmp_path / "c.zip", {"a.wav": b"x"}, zipfile.ZIP_STORED)
    content = bytearray(archive.read_bytes())
    content[6] |= 1  # the flag in the entry, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    archive.write_bytes(content)
    with pytest.raises(OptionError, match="password"):
        unpack(archive, folder)


@pytest.mark.parametrize("kind", ["empty", "text", "cut", "bits"])
def test_a_damaged_archive_is_said_and_leaves_nothing(tmp_path: Path, folder: Path, kind: str) -> None:
    archive = packed(tmp_path / "c.zip", {"manifest.csv": TABLE, "a.wav": bytes(range(256)) * 40})
    content = bytearray(archive.read_bytes())
    if kind == "empty":
        content = bytearray()
    elif kind == "text":
        content = bytearray(TABLE.encode())
    elif kind == "cut":
        content = content[: len(content) // 2]
    else:
        middle = content.index(b"a.wav") + 40
        content[middle : middle + 20] = b"\xff" * 20
    archive.write_bytes(content)
    with pytest.raises(OptionError, match="damaged"):
        unpack(archive, folder)
    assert not any(folder.iterdir())


def test_an_archive_is_not_larger_than_allowed(tmp_path: Path, folder: Path) -> None:
    archive = packed(tmp_path / "c.zip", {f"{n}.wav": bytes(100_000) for n in range(4)})
    with pytest.raises(OptionError, match="at most 0 MB"):
        unpack(archive, folder, limits=UnpackLimits(total_mb=0.3))
    with pytest.raises(OptionError, match="4 files; at most 3"):
        unpack(archive, folder, limits=UnpackLimits(files=3))
    with pytest.raises(OptionError, match="entries"):
        unpack(archive, folder, limits=UnpackLimits(files=1))
    assert not any(folder.iterdir())


def test_what_an_archive_declares_is_not_believed(tmp_path: Path, folder: Path) -> None:
    archive = packed(tmp_path / "c.zip", {"a.wav": bytes(5_000_000)})
    content = archive.read_bytes().replace((5_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little"))
    archive.write_bytes(content)
    with pytest.raises(OptionError):
        unpack(archive, folder, limits=UnpackLimits(total_mb=1))
    assert not any(folder.iterdir())


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_one_name_twice_is_refused(tmp_path: Path, folder: Path) -> None:
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("a.wav", b"1")
        archive.writestr("A.wav", b"2")
    with pytest.raises(OptionError, match="twice"):
        unpack(tmp_path / "c.zip", folder)


def test_nothing_in_it_and_no_room_for_it_are_said(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(OptionError, match="no file"):
        unpack(packed(tmp_path / "c.zip", {".hidden": b"x", "empty/": b""}), folder)
    folder.mkdir(exist_ok=True)
    (folder / "mine.txt").write_text("keep", encoding="utf-8")
    with pytest.raises(OptionError, match="not empty"):
        unpack(packed(tmp_path / "d.zip", {"a.wav": b"x"}), folder)
    assert (folder / "mine.txt").read_text(encoding="utf-8") == "keep"
    with pytest.raises(OptionError, match=r"e\.zip"):
        unpack(tmp_path / "e.zip", tmp_path / "other")


def test_a_name_that_is_a_folder_too_is_said(tmp_path: Path, folder: Path) -> None:
    archive = packed(tmp_path / "c.zip", {"a": b"x", "a/b.wav": b"x"})
    with pytest.raises(OptionError, match="cannot be unpacked"):
        unpack(archive, folder)
    assert not any(folder.iterdir())
