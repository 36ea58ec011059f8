"""The ratings that a run keeps: `RUN/blind/ratings/`, one JSON file a rater and set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import ValidationError

from multiplex.bench.ratings.blind import Key
from multiplex.bench.ratings.blind_folder import BLIND, read_file, read_keys
from multiplex.bench.ratings.files import Accepted, check_whole, explain, find_key, identify, read_object, read_rating
from multiplex.content import open_draft
from multiplex.errors import ContentError, MultiplexError, UsageError

RATINGS = "ratings"


def accept_files(run: Path, paths: Sequence[Path]) -> tuple[list[Accepted], list[Path]]:
    """Keep the ratings of these files, all of them or none; those that are new, and the files that were kept before.

    Raises:
        ContentError: a file is wrong, of another run or set, or of a rater who has rated the set already.
        UsageError: nothing of this run was handed out.
        MultiplexError: the disk refuses.
    """
    keys = known_keys(run)
    kept = {each.identity: each for each in read_accepted(run, keys)}
    new: dict[tuple[str, str, str], tuple[Accepted, Path]] = {}
    again = []
    for path in paths:
        rating = read_rating(read_file(path), path)
        check_whole(rating, find_key(keys, rating, path), path)
        accepted = Accepted(kind="person", rating=rating)
        who = f"rater {rating.rater!r} has rated set {rating.set} already"
        if accepted.identity in new:
            raise ContentError(path, f"{who}, in {new[accepted.identity][1]}; give one file of each rater")
        if accepted.identity in kept and accepted != kept[accepted.identity]:
            raise ContentError(path, f"{who}, otherwise; to replace that, remove {_place(run, accepted)}")
        new[accepted.identity] = (accepted, path)
        if accepted.identity in kept:
            again.append(path)
    made = [accepted for accepted, path in new.values() if path not in again]
    for accepted in made:
        keep(run, accepted)
    return made, again


def known_keys(run: Path) -> dict[str, Key]:
    """`read_keys`, where there are any.

    Raises:
        UsageError: there are none.
        ContentError: a key is damaged.
    """
    keys = read_keys(run)
    if not keys:
        raise UsageError(f"{run}: nothing of this run was handed out to raters; `multiplex bench blind` does it")
    return keys


def read_accepted(run: Path, keys: Mapping[str, Key]) -> list[Accepted]:
    """Every rating that the run keeps, by set and then by file name.

    Raises:
        ContentError: a file is damaged or of a set whose key is not here.
    """
    found = []
    for path in sorted((run / BLIND / RATINGS).glob("*.json")):
        data = read_object(read_file(path), path)
        try:
            accepted = Accepted.model_validate(data)
        except ValidationError as error:
            raise ContentError(path, explain(error, data)) from error
        key = find_key(keys, accepted.rating, path)
        read = None
        if accepted.kind == "model":
            read = [each.number for each in key.questions if each.number not in accepted.unread]
        check_whole(accepted.rating, key, path, read)
        found.append(accepted)
    return found


def find_kept(run: Path, keys: Mapping[str, Key], name: str, rater: str, place: str) -> Accepted | None:
    """What a model's rating of a set has come to so far; None where it has not begun.

    Raises:
        ContentError: a kept file is damaged.
        UsageError: a model of this name behind another endpoint has rated the set.
    """
    wanted = identify(name, "model", rater)
    kept = next((each for each in read_accepted(run, keys) if each.identity == wanted), None)
    if kept is not None and kept.place != place:
        raise UsageError(f"{rater} of {kept.place} has rated set {name}; to replace that, remove {_place(run, kept)}")
    return kept


def keep(run: Path, accepted: Accepted) -> None:
    """Write a rating down, whole or not at all, in place of an older one of the same rater and set.

    Raises:
        MultiplexError: the disk refuses.
    """
    path = _place(run, accepted)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise MultiplexError(f"{path.parent}: cannot be made: {error.strerror or error}") from error
    with open_draft(path) as out:
        out.write(accepted.model_dump_json(indent=1) + "\n")


def _place(run: Path, accepted: Accepted) -> Path:
    return run / BLIND / RATINGS / accepted.file
