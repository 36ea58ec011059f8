"""Carries out a run of a benchmark or a survey: makes or continues it, does its units, says how it ended."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text

from multiplex.bench.execute.batch_run import BatchOrder, batch_chats, run_batches, use_replies
from multiplex.bench.execute.estimate import estimate, print_estimate
from multiplex.bench.execute.progress import Progress
from multiplex.bench.execute.runner import Outcome, Runner
from multiplex.bench.plan import manifest
from multiplex.bench.plan.budget import Budget
from multiplex.bench.plan.suite import Suite
from multiplex.bench.plan.units import Unit
from multiplex.bench.store.batch_log import OUT
from multiplex.bench.store.store import Store
from multiplex.council.personas import Council
from multiplex.errors import UsageError
from multiplex.llm.chat import Chat
from multiplex.llm.limiter import adaptive
from multiplex.llm.prices import Prices
from multiplex.llm.spec import ModelSpec, api_key
from multiplex.settings import Shard
from multiplex.text.console import SafeConsole

COMPLETE, WITH_ERRORS, STOPPED = 0, 1, 3
SEED = 7


@dataclass(frozen=True)
class RunOrder:
    """How a run is carried out, whatever it asks.

    Attributes:
        seed: None takes that of the run that is continued, or 7.
        most_errors: the share of failed units above which the run counts as one with errors.
        redo_damaged: whether what is damaged, or lost of a batch, is asked for, and paid for, again.
        shard: the part of the units that this run takes; None for all.
        ray: the address of a Ray cluster that does the units, or `local`; None does them in this process.
        batch: whether calls are sent in batches; `wait` until their replies have come.
    """

    folder: Path
    specs: tuple[ModelSpec, ...]
    council: Council
    seed: int | None = None
    max_tokens: int | None = None
    max_usd: float | None = None
    prices: Path | None = None
    dry_run: bool = False
    most_errors: float = 0.05
    redo_damaged: bool = False
    shard: Shard | None = None
    ray: str | None = None
    batch: bool = False
    wait: bool = False


def run(order: RunOrder, suite: Suite) -> int:
    """Do the run, or continue it; the exit code: 0 complete, 1 complete with too many errors, 3 stopped.

    Raises:
        UsageError: the order is wrong, or does not fit the run that is there, or what the run rests on is damaged;
            nothing was sent.
        MultiplexError: the disk refuses.
    """
    console = SafeConsole(stderr=True)
    _check_way(order)
    prices = Prices.read(order.prices) if order.prices is not None else None
    there = Store.exists(order.folder)
    every = None if there else suite.units(SEED if order.seed is None else order.seed)
    if every is not None and order.shard is not None and not _part(order, every):
        _say(console, f"--shard {order.shard.part}/{order.shard.of}: no unit falls to it, so there is nothing to do")
        return COMPLETE
    if order.dry_run:
        _estimate(order, suite, every, prices)
        return COMPLETE
    if every is not None:
        _check_keys(order)
        suite.probe()
    with Store.open(order.folder, create=True) as store:
        made, units = _fitting(order, suite, store, every)
        states = store.states()
        if there and any(states.get(unit.id) != "done" for unit in units):
            _check_keys(order)
        spoiled = _checked(order, store, units, console) if there else frozenset()
        if not order.batch and (out := store.batches().batches(*OUT)):
            raise UsageError(
                f"{order.folder}: {sum(each.calls for each in out):,} calls are out in {len(out):,} batches, and would "
                "be paid for twice; the same command with --batch collects them"
            )
        budget = Budget(
            order.max_tokens, order.max_usd, prices, store.spent(), models=[spec.name for spec in order.specs]
        )
        store.write_manifest(made)
        suite.begin()
        store.add(units)
        done = sum(state == "done" for state in map(store.states().__getitem__, (unit.id for unit in units)))
        _say(console, f"{order.folder}: {len(units):,} units" + (f", {done:,} of them done already" if done else ""))
        outcome = _generate(order, store, units, spoiled, done, budget, console)
        if suite.score and outcome.done:
            _score(store, console)
    return _told(order, suite, outcome, console)


def _estimate(order: RunOrder, suite: Suite, every: tuple[Unit, ...] | None, prices: Prices | None) -> None:
    """Print what is left to do, and what it would cost; `every` are the units of a run that is not there yet."""
    if every is not None:
        print_estimate(SafeConsole(), estimate(_part(order, every), order.specs, order.council, (), prices))
        return
    with Store.read(order.folder) as store:
        units = _fitting(order, suite, store)[1]
        states = store.states()
        todo = [unit for unit in units if states.get(unit.id) != "done"]
        print_estimate(SafeConsole(), estimate(todo, order.specs, order.council, store.records(), prices))


def _check_way(order: RunOrder) -> None:
    if order.wait and not order.batch:
        raise UsageError("--wait is of --batch; add it, or leave --wait out")
    if order.ray is not None and (order.batch or any(spec.local for spec in order.specs)):
        raise UsageError(
            "--ray is for calls to an endpoint that answers at once; leave it out with --batch and `local`"
        )
    if not order.batch:
        return
    if any(spec.local for spec in order.specs):
        raise UsageError("--batch: a model on this machine has no batches; leave --batch out, or the model")
    if order.max_tokens is not None or order.max_usd is not None:
        raise UsageError(
            "--batch sends its calls together, which --max-tokens and --max-usd cannot bound; leave them out, see what "
            "it would cost with --dry-run, and ask fewer questions"
        )


def _check_keys(order: RunOrder) -> None:
    """Raises UsageError where a model's key is missing, and all its units would fail; Ray's workers have theirs."""
    for spec in order.specs if order.ray is None else ():
        api_key(spec)


def _fitting(
    order: RunOrder, suite: Suite, store: Store, every: tuple[Unit, ...] | None = None
) -> tuple[manifest.Manifest, tuple[Unit, ...]]:
    """The manifest of the run as this order continues it, and the units that it names, of `every` where that is known.

    Raises:
        UsageError: answers made now could not stand beside those that are there.
    """
    old = store.manifest
    seed = order.seed if order.seed is not None else old.seed if old is not None else SEED
    quorum = order.council.quorum
    made = manifest.made(order.council, order.specs, seed, 1, "default", quorum, suite.name, suite.survey)
    every = every if every is not None else suite.units(seed)
    units = _part(order, every)
    if order.shard is not None:
        made = made.model_copy(update={"order": tuple(unit.id for unit in every)})
    if old is None:
        return made, units
    unlike = manifest.differences(old, made) + _reworded(store, units)
    if unlike:
        raise UsageError(
            f"{order.folder}: this run was made otherwise: {'; '.join(unlike)}; put that back, or give another --name"
        )
    return manifest.merged(old, made), units


def _checked(order: RunOrder, store: Store, units: Sequence[Unit], console: Console) -> frozenset[str]:
    """Check what is stored; the ids of the units that are left out, since making them again could be paid for twice.

    Raises:
        UsageError: the file's structure is damaged, or an index and the order does not say to build it anew.
    """
    found = store.check()
    if found.among("structure"):
        raise UsageError(f"{order.folder}: {found.summary()}; restore the run from a copy, or give another --name")
    if not found.damaged:
        return frozenset()
    _say(console, f"{order.folder}: {found.summary()}")
    if order.redo_damaged:
        store.redo(found, units)
        return frozenset()
    if found.among("index", "batch"):
        raise UsageError(
            f"{order.folder}: an index or a batch of the run is damaged, so that replies may not be found and be paid "
            "for twice; restore the run from a copy, or give --redo-damaged, which makes it anew"
        )
    states = store.states()
    left_out = {each.unit or "" for each in found.among("unit", "outcome")}
    left_out |= {each.unit or "" for each in found.among("call", "batch_call") if states.get(each.unit or "") != "done"}
    return frozenset(left_out)


def _part(order: RunOrder, every: tuple[Unit, ...]) -> tuple[Unit, ...]:
    if order.shard is None:
        return every
    return tuple(unit for unit in every if order.shard.has(unit.together))


def _reworded(store: Store, units: Sequence[Unit]) -> list[str]:
    """The questions whose words are not those that the run was asked."""
    asked = {(unit.question_id, unit.language): unit.question for unit in units}
    changed = {
        " in ".join(filter(None, (unit.question_id, unit.language)))
        for unit in store.units()
        if asked.get((unit.question_id, unit.language), unit.question) != unit.question
    }
    return [f"question {name!r} has other words" for name in sorted(changed)]


def _generate(
    order: RunOrder,
    store: Store,
    units: Sequence[Unit],
    spoiled: frozenset[str],
    done: int,
    budget: Budget,
    console: Console,
) -> Outcome:
    limiters = {spec.name: adaptive(spec) for spec in order.specs}
    chats = {spec.name: Chat(spec, limiter=limiters[spec.name], transport="whole") for spec in order.specs}

    def state() -> str:
        return ", ".join(map(str, limiters.values()))

    try:
        if order.batch:
            way, posted = BatchOrder(order.wait, order.redo_damaged), batch_chats(order.specs)
            with Progress(console, len(units), done, budget=budget) as watch:
                return asyncio.run(run_batches(way, store, posted, order.council, units, budget, watch, spoiled))
        with Progress(console, len(units), done, state, budget) as watch:
            if store.batches().unused():
                asyncio.run(use_replies(store, order.specs, order.council, units, budget, watch, spoiled))
            if order.ray is not None:
                from multiplex.bench.ray.executor import ray_executor

                with ray_executor(order.ray, order.specs, order.council) as executor:
                    return asyncio.run(Runner(store, chats, order.council, budget, watch, spoiled, executor).run(units))
            for limiter in limiters.values():
                limiter.on_change = watch.note
            return asyncio.run(Runner(store, chats, order.council, budget, watch, spoiled).run(units))
    except KeyboardInterrupt:
        states = store.states()
        ended = [states[unit.id] for unit in units]
        return Outcome(ended.count("done"), ended.count("failed"), ended.count("pending"), "interrupted")


def _score(store: Store, console: Console) -> None:
    from multiplex.bench.execute.scoring import Scoring, score

    _say(console, "measuring …")
    score(store, Scoring())


def _told(order: RunOrder, suite: Suite, outcome: Outcome, console: Console) -> int:
    """Say how the run ended, and what can be done next; the exit code."""
    counts = f"{outcome.done:,} done, {outcome.failed:,} failed, {outcome.pending:,} pending"
    if outcome.stopped is not None:
        print(f"multiplex: stopped: {outcome.stopped}; {counts}; the same command goes on from here", file=sys.stderr)
        return STOPPED
    if outcome.calls_out:
        batches = "1 batch" if outcome.batches_out == 1 else f"{outcome.batches_out:,} batches"
        print(f"submitted {outcome.calls_out:,} calls in {batches}; the same command collects ({counts})")
        return COMPLETE
    _say(console, f"{counts}; next: {suite.report} {order.folder}")
    if outcome.damaged:
        print(
            f"multiplex: {outcome.damaged:,} units left out, whose records are damaged; restore the run from a "
            "copy, or give --redo-damaged, which asks and pays for what is damaged again",
            file=sys.stderr,
        )
    if outcome.error_rate > order.most_errors:
        print(
            f"multiplex: {outcome.failed:,} units failed, {outcome.error_rate:.0%} of all, more than "
            f"--max-error-rate {order.most_errors:g}; `multiplex bench list` counts them, the same command tries again",
            file=sys.stderr,
        )
        return WITH_ERRORS
    return WITH_ERRORS if outcome.damaged else COMPLETE


def _say(console: Console, text: str) -> None:
    console.print(Text(text, "dim"), soft_wrap=True)
