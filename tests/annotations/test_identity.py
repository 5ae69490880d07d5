"""People: passwords that nobody can read, roles, and sign-in from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from ugsd_core.annotations import identity
from ugsd_core.annotations.errors import AccessDenied, AnnotationError
from ugsd_core.annotations.identity import User, visible_to
from ugsd_core.annotations.store import Store


def test_the_right_password_signs_in_and_no_other(store: Store) -> None:
    identity.add_user(store, "ann", "reviewer", "correct horse")
    assert identity.sign_in(store, "ann", "correct horse") == User("ann", "reviewer")
    check = identity.password_check(store)
    assert check("ann", "correct horse")
    for name, password in (("ann", "wrong horse"), ("ann", ""), ("bob", "correct horse"), ("", "")):
        assert not check(name, password)


def test_no_file_holds_a_password_and_no_two_hashes_are_the_same(sqlite: Store, tmp_path: Path) -> None:
    for name in ("ann", "bob"):
        identity.add_user(sqlite, name, "annotator", "correct horse")
    assert not any(b"correct horse" in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert identity.hash_password("same") != identity.hash_password("same")


def test_adding_somebody_again_changes_role_and_password(store: Store) -> None:
    identity.add_user(store, "ann", "annotator", "first password")
    identity.add_user(store, "ann", "reviewer", "second password")
    assert identity.list_users(store) == [User("ann", "reviewer")]
    with pytest.raises(AccessDenied):
        identity.sign_in(store, "ann", "first password")


def test_somebody_without_a_password_cannot_sign_in_with_one(store: Store) -> None:
    identity.add_user(store, "hf:ann", "reviewer", None)
    with pytest.raises(AccessDenied):
        identity.sign_in(store, "hf:ann", "")
    assert identity.signed_in_elsewhere(store, "hf:ann") == User("hf:ann", "reviewer")


def test_strangers_from_elsewhere_are_let_in_only_where_it_is_open(store: Store) -> None:
    with pytest.raises(AccessDenied, match="not among"):
        identity.signed_in_elsewhere(store, "stranger")
    assert identity.signed_in_elsewhere(store, "stranger", open_to_all=True) == User("stranger", "annotator")


def test_somebody_who_was_removed_is_out(store: Store) -> None:
    identity.add_user(store, "ann", "annotator", "correct horse")
    assert identity.remove_user(store, "ann") and not identity.remove_user(store, "ann")
    with pytest.raises(AccessDenied):
        identity.sign_in(store, "ann", "correct horse")


def test_short_passwords_odd_names_and_unknown_roles_are_refused(sqlite: Store) -> None:
    for name, role, password in (
        ("ann", "annotator", "short"),
        ("a/b", "annotator", "long enough"),
        ("ann", "god", None),
    ):
        with pytest.raises(AnnotationError):
            identity.add_user(sqlite, name, role, password)  # type: ignore[arg-type]


def test_who_may_read_whom() -> None:
    ann, rev = User("ann"), User("rev", "reviewer")
    assert visible_to(ann, "ann", blind=True) and visible_to(rev, "ann", blind=True)
    assert not visible_to(ann, "bob", blind=True) and visible_to(ann, "bob", blind=False)
