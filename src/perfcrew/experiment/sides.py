"""What is compared: two commands, callables, addresses, revisions or configurations, and who measures it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from perfcrew.core.comparison import Comparison, Side
from perfcrew.core.errors import UsageError
from perfcrew.experiment.at_once import compare_at_once
from perfcrew.experiment.commands import Commands, idle_cores
from perfcrew.experiment.engine import Design, Tell
from perfcrew.experiment.wish import Wish, variables
from perfcrew.instruments.command import Launch, words
from perfcrew.target.leftovers import Registry


async def compare_sides(wish: Wish, tell: Tell) -> list[Comparison]:
    """One comparison for commands and callables, one an endpoint for servers. UsageError where it is not two sides."""
    kinds = [wish.commands, wish.callables, wish.urls]
    if sum(map(bool, kinds)) > 1 or (wish.revisions and (wish.callables or wish.urls)):
        raise UsageError(
            "sides of several kinds can't be compared", do="give two of one kind; revisions may go with --command"
        )
    if wish.commands:
        return [await _commands(wish, tell)]
    if wish.callables:
        return [await _callables(wish, tell)]
    from perfcrew.experiment.targets import compare_servers

    return await compare_servers(wish, tell)


async def _commands(wish: Wish, tell: Tell) -> Comparison:
    if len(wish.revisions) == 2 and len(wish.commands) in (1, 2):
        return await _at_revisions(wish, tell)
    _two_of(wish.commands, "--command")
    launches = (_launch(wish, wish.commands[0], "A"), _launch(wish, wish.commands[1], "B"))
    return await _two(wish, launches, (wish.commands[0], wish.commands[1]), tell)


async def _at_revisions(wish: Wish, tell: Tell) -> Comparison:
    """One command in both revisions, or one for each."""
    from perfcrew.experiment.targets import placed
    from perfcrew.experiment.worktrees import worktree

    async with placed(wish.root) as place, AsyncExitStack() as stack:
        launches = []
        for side, revision, command in zip("AB", wish.revisions, (wish.commands * 2)[:2], strict=True):
            tree = await stack.enter_async_context(worktree(wish.root, place.registry, place.folder, base=revision))
            launches.append(_launch(wish, command, side, tree.target_root))
        return await _two(wish, (launches[0], launches[1]), (wish.revisions[0], wish.revisions[1]), tell)


async def _callables(wish: Wish, tell: Tell) -> Comparison:
    _two_of(wish.callables, "--callable")
    python = wish.python or sys.executable
    timer = Path(__file__).with_name("timer.py")
    turns = str(await _turns(wish, python, timer))
    launches = tuple(
        Launch(
            (python, str(timer), name, turns),
            wish.root,
            variables(wish.settings, side),
            wish.timeout_s,
            own_figures=True,
        )
        for name, side in zip(wish.callables, "AB", strict=True)
    )
    return await _two(wish, (launches[0], launches[1]), (wish.callables[0], wish.callables[1]), tell)


async def _turns(wish: Wish, python: str, timer: Path) -> int:
    """The calls that side A makes in about 0.2 s: both sides make as many, in fresh processes."""
    import asyncio

    from perfcrew.instruments.command import measure_command

    launch = Launch(
        (python, str(timer), wish.callables[0], "0"), wish.root, variables(wish.settings, "A"), wish.timeout_s, True
    )
    run = await asyncio.to_thread(measure_command, launch)
    return max(int(run.own["turns"]), 1)


def _two_of(values: tuple[str, ...], option: str) -> None:
    if len(values) != 2:
        raise UsageError(
            f"a comparison has two sides, {option} was given {len(values)} times", do=f"{option} A {option} B"
        )


def _launch(wish: Wish, command: str, side: str, cwd: Path | None = None) -> Launch:
    return Launch(words(command), cwd or wish.root, variables(wish.settings, side), wish.timeout_s, wish.own_figures)


async def _two(wish: Wish, launches: tuple[Launch, Launch], labels: tuple[str, str], tell: Tell) -> Comparison:
    cores = idle_cores(0.5)[:2] if wish.duet else idle_cores()
    design: Design = "one core" if not wish.duet else "duet" if len(cores) == 2 else "interleaved"
    subject = "callables" if wish.callables else "commands"
    a, b = (Side(label=s, what=what) for s, what in zip("AB", labels, strict=True))
    with _registered(wish, launches) as marked:
        sampler = Commands(
            *marked,
            subject=subject,
            design=design,
            cores=tuple(cores),
            answers_may_differ=wish.answers_may_differ,
        )
        found = await compare_at_once(sampler, a, b, wish.rules, tell)
    if wish.duet and design != "duet":
        found = found.model_copy(update={"notes": (*found.notes, "no duet: there are no two idle cores")})
    if wish.answers_may_differ:
        note = "what the sides answer is not held against each other: --answers-may-differ"
        found = found.model_copy(update={"answers_may_differ": True, "notes": (*found.notes, note)})
    return sampler.told(found)


@contextmanager
def _registered(wish: Wish, launches: tuple[Launch, Launch]) -> Iterator[tuple[Launch, Launch]]:
    """Both under a mark of their own: what a killed perfcrew leaves running is ended by the next, or by `clean`."""
    registry = Registry(wish.root / ".perfcrew" / "leftovers", "compare")
    registry.sweep()
    one, other = (registry.process(f"side {side} of a comparison") for side in "AB")
    try:
        yield replace(launches[0], mark=one), replace(launches[1], mark=other)
    finally:
        registry.over(one)
        registry.over(other)
