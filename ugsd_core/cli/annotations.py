"""``ugsd annotations``: campaigns without the page."""

from __future__ import annotations

import argparse
import getpass
import json
import os
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ugsd_core.cli.output import progress
from ugsd_core.errors import OptionError
from ugsd_core.places import user_data_folder

if TYPE_CHECKING:
    from ugsd_core.annotations.agreement import Agreement
    from ugsd_core.annotations.media import Media
    from ugsd_core.annotations.sources import Found
    from ugsd_core.annotations.store import Store

__all__ = ["STORE_VARIABLE", "default_store", "run"]

#: Names the store where ``--store`` does not; a password in an argument could be read by every user of the machine.
STORE_VARIABLE = "UGSD_ANNOTATIONS"


def default_store() -> str:
    """``$UGSD_ANNOTATIONS``, or ``annotations.db`` in the user's data folder."""
    return os.environ.get(STORE_VARIABLE) or str(user_data_folder() / "annotations.db")


def run(args: argparse.Namespace) -> int:
    """Do what was asked.

    Raises:
        UgsdError: With one sentence for a person.
    """
    from ugsd_core.annotations.media import Media, default_media
    from ugsd_core.annotations.store import open_store

    making = args.action in ("create", "import", "restore") or getattr(args, "users_action", "") == "add"
    with (
        progress("opening the annotation store"),
        # Verifying says all that is wrong, and so must not be stopped by the first of it.
        open_store(args.store or default_store(), create=making, check=args.action != "verify") as store,
    ):
        media = Media(Path(args.media).expanduser()) if args.media else default_media(store.path)
        return ACTIONS[args.action](args, store, media)


def _create(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.campaign import Campaign, create_campaign
    from ugsd_core.annotations.sources import with_gold
    from ugsd_core.annotations.taxonomy import default_taxonomy, read_taxonomy

    taxonomy = read_taxonomy(Path(args.taxonomy).expanduser()) if args.taxonomy else default_taxonomy()
    rest: dict[str, Any] = {"guidelines": _text(args.guidelines)} if args.guidelines else {}
    campaign = Campaign(
        id=args.campaign,
        title=args.title,
        taxonomy=taxonomy,
        overlap=args.overlap,
        seed=args.seed,
        blind=not args.open,
        must_listen=args.must_listen,
        source="run" if args.run_folder else "traces" if args.traces else "manifest",
        **rest,
    )
    found = _found(args)
    if args.gold:
        found = with_gold(found, Path(args.gold).expanduser(), taxonomy)
    with progress("copying the recordings"):
        count = create_campaign(store, media, campaign, found.items)
    for problem in found.problems:
        print(f"warning: {problem}", file=sys.stderr)
    sounds = sum(new.audio is not None for new in found.items)
    if args.json:
        return _print({"campaign": campaign.id, "items": count, "with_audio": sounds, "problems": found.problems})
    print(f"campaign {campaign.id}: {count} captions, {sounds} with their recordings, in {store.address}")
    return 0


def _found(args: argparse.Namespace) -> Found:
    from ugsd_core.annotations.sources import from_manifest, from_run, from_traces

    audio = Path(args.audio).expanduser() if args.audio else None
    if audio is not None and not audio.is_dir():
        raise OptionError(f"there is no folder {audio}; point --audio at the recordings")
    if args.system and not args.run_folder:
        raise OptionError("--system chooses among the systems of a run; use it with --run")
    if args.run_folder:
        return from_run(args.campaign, Path(args.run_folder).expanduser(), systems=args.system, audio=audio)
    if args.traces:
        return from_traces(args.campaign, [Path(path).expanduser() for path in args.traces], audio=audio)
    return from_manifest(args.campaign, Path(args.manifest).expanduser(), audio=audio)


def _list(args: argparse.Namespace, store: Store, media: Media) -> int:
    with store.reading() as tx:
        found = []
        for name, body in tx.campaigns():
            people: dict[str, dict[str, int]] = {}
            for annotator, status, count in tx.progress(name):
                people.setdefault(annotator, {})[status] = count
            items = tx.items_mark(name)[0]
            found.append({"campaign": name, "title": body["title"], "items": items, "annotators": people})
    if args.json:
        return _print({"campaigns": found})
    for entry in found:
        print(f"{entry['campaign']}: {entry['items']} captions")
        for name, counts in entry["annotators"].items():
            print(f"  {name}: " + ", ".join(f"{count} {status}" for status, count in counts.items()))
    return 0


def _export(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.export import export_campaign

    with progress("writing the export"):
        done = export_campaign(
            store,
            media,
            args.campaign,
            Path(args.out).expanduser(),
            hashed=args.hash_annotators,
            audio=not args.no_audio,
        )
    for problem in done.problems:
        print(f"warning: {problem}", file=sys.stderr)
    if args.json:
        return _print({"folder": str(done.folder), "counts": done.counts, "problems": done.problems})
    print(f"{done.folder}: " + ", ".join(f"{count} {name}" for name, count in done.counts.items()))
    return 0


def _import(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.imports import import_campaign

    with progress("reading the export"):
        done = import_campaign(store, media, Path(args.folder).expanduser())
    if args.json:
        return _print(asdict(done))
    print(f"campaign {done.campaign}: {done.events} events taken in, {done.known} known before")
    return 0


def _agreement(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations import agreement, review
    from ugsd_core.annotations.campaign import Campaign

    if args.draws < 20:
        raise OptionError(f"an interval needs at least 20 draws, not {args.draws}")
    with store.reading() as tx, progress("comparing the answers"):
        campaign = Campaign.from_dict(args.campaign, tx.campaign(args.campaign))
        answers = tx.answers(args.campaign)
        found = agreement.campaign_agreement(answers, campaign.taxonomy, draws=args.draws, seed=args.seed)
        people, gold = review.work(tx, args.campaign), review.gold_scores(tx, args.campaign)
        disputed = review.disagreements(tx, args.campaign)
    if args.json:
        return _print(
            {
                "campaign": args.campaign,
                "agreement": [entry.to_dict() for entry in found],
                "annotators": [entry.to_dict() for entry in people],
                "gold": [entry.to_dict() for entry in gold],
                "disagreements": [{"item": entry.item, "share": entry.share} for entry in disputed],
                "definitions": agreement.DEFINITIONS | review.DEFINITIONS,
            }
        )
    _print_agreement(found)
    print(f"\n{len(disputed)} captions are disputed, {sum(entry.adjudicated for entry in disputed)} of them settled")
    for entry in people:
        rate = "" if entry.per_hour is None else f", {entry.per_hour:g} an hour, median {entry.median_s:g} s"
        print(f"{entry.annotator}: {entry.submitted} submitted, {entry.skipped} skipped{rate}")
    for score in gold:
        print(f"{score.annotator}: right verdict on {score.gold_right:.0%} of {score.items} gold captions")
    return 0


def _print_agreement(found: tuple[Agreement, ...]) -> None:
    print(f"{'':<18}{'items':>6}{'percent':>9}{'Fleiss κ':>10}{'α':>8}   95 % interval of α")
    for entry in found:
        interval = "" if entry.alpha_low is None else f"   {entry.alpha_low:.3f} to {entry.alpha_high:.3f}"
        percent = "–" if entry.percent is None else f"{entry.percent:.1%}"
        print(
            f"{entry.about:<18}{entry.items:>6}{percent:>9}{_figure(entry.fleiss):>10}{_figure(entry.alpha):>8}{interval}"
        )
    for pair in found[0].pairs:
        print(f"  {pair.first} and {pair.second}: {pair.percent:.1%} of {pair.items}, Cohen's κ {_figure(pair.cohen)}")


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _snapshot(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.snapshot import write_snapshot

    with progress("writing the snapshot"):
        count = write_snapshot(store, Path(args.file).expanduser())
    print(f"{args.file}: {count} events; recordings are in {media.root}, copy that folder too")
    return 0


def _restore(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.snapshot import restore

    with progress("reading the snapshot"):
        count = restore(store, Path(args.file).expanduser())
    print(f"{store.address}: {count} events restored; people's accounts are made anew: ugsd annotations users add")
    return 0


def _verify(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.bulk import rebuild, verify

    with progress("checking the store"):
        if args.mend:
            with store.writing() as tx:
                rebuild(tx)
        found = verify(store)
        with store.reading() as tx:
            count = tx.count()
    if args.json:
        _print({"store": store.address, "events": count, "problems": found})
    else:
        print("\n".join(found) if found else f"{store.address}: {count} events, nothing wrong")
    return 1 if found else 0


def _users(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations import identity

    if args.users_action == "list":
        people = identity.list_users(store)
        if args.json:
            return _print({"users": [asdict(user) for user in people]})
        print("\n".join(f"{user.name}: {user.role}" for user in people) or "nobody yet: ugsd annotations users add")
        return 0
    if args.users_action == "remove":
        if not identity.remove_user(store, args.name):
            raise OptionError(f"there is nobody called {args.name!r}; see ugsd annotations users list")
        print(f"{args.name} has no access any more; the answers stay")
        return 0
    identity.add_user(store, args.name, args.role, None if args.no_password else _password(args))
    print(f"{args.name} is {'an annotator' if args.role == 'annotator' else 'a reviewer'}")
    return 0


def _password(args: argparse.Namespace) -> str:
    if args.password_stdin:
        return sys.stdin.readline().rstrip("\r\n")
    if not sys.stdin.isatty():
        raise OptionError("nobody can type a password here; use --password-stdin or --no-password")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Again: "):
        raise OptionError("the two passwords are not the same; try again")
    return password


def _forget(args: argparse.Namespace, store: Store, media: Media) -> int:
    from ugsd_core.annotations.forget import forget, without

    if not args.yes:
        with store.reading() as tx:
            events = list(tx.events())
        count = len(events) - len(without(events, args.person))
        raise OptionError(f"{count} of {len(events)} events would be deleted for good; add --yes to do it")
    with progress("deleting"):
        done = forget(store, media, args.person, snapshots=[Path(path).expanduser() for path in args.snapshot])
    for path in done.missing:
        print(f"warning: the snapshot {path} is not where it was written; delete its copies", file=sys.stderr)
    if done.mentions:
        print(f"warning: {len(done.mentions)} events of others mention this name in their text", file=sys.stderr)
    if args.json:
        paths = {name: [str(path) for path in getattr(done, name)] for name in ("snapshots", "missing")}
        return _print(asdict(done) | paths)
    print(
        f"{done.events} events, {done.items} captions and {done.recordings} files deleted; "
        f"{len(done.snapshots)} snapshots written anew. Exports made before are copies: delete them by hand"
    )
    return 0


def _text(path: str) -> str:
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"{path} can't be read: {error}") from error


def _print(values: dict[str, Any]) -> int:
    print(json.dumps(values, ensure_ascii=False, allow_nan=False, indent=2))
    return 0


ACTIONS: dict[str, Callable[[argparse.Namespace, Store, Media], int]] = {
    "create": _create,
    "list": _list,
    "export": _export,
    "import": _import,
    "agreement": _agreement,
    "snapshot": _snapshot,
    "restore": _restore,
    "verify": _verify,
    "users": _users,
    "forget": _forget,
}
