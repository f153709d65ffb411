"""Actors that run one at a time, in an order that a seed decides, and that can be frozen or killed at any call.

Each actor is a greenlet, so that it can stand still in the middle of anything. The environment, which made them, runs
while none of them does. An actor hands on in `switch`, which every call of an in-memory part goes through.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import count
from typing import NoReturn

from greenlet import getcurrent, greenlet

_NEVER = 1 << 62


class Killed(BaseException):
    """The actor ends here, without another word to anybody: what `kill -9` does."""


class Actor:
    """One flow of control, and where it stands."""

    def __init__(self, name: str, number: int, greenlet_: greenlet) -> None:
        self.name = name
        self.number = number
        self.greenlet = greenlet_
        self.killed = False
        self.frozen_until = 0


class Interleaving:
    """The actors of one run. Whoever makes it is the environment: it runs until it calls `let_run`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._environment = getcurrent()
        self.current: Actor | None = None
        """The actor that runs; None: the environment does."""
        self.actors: list[Actor] = []
        self.turns = 0
        """How often the environment had its turn."""
        self.patience = 8.0
        """How often control goes from actor to actor, on average, before the environment has its turn."""
        self.stickiness = 0.5
        """How likely an actor is to go on where it could be interrupted."""
        self.ended: list[str] = []
        """Actors that died, or came to their end, since somebody emptied this."""
        self.crashes: list[str] = []
        self._numbers = count(1)
        self._awake: list[Actor] = []
        self._awake_until = 0
        """The turn in which somebody thaws, so that `_awake` must be made again."""

    def start(self, name: str, body: Callable[[], None]) -> Actor:
        """Add an actor; it runs `body` when it is first chosen."""
        actor = Actor(name, next(self._numbers), greenlet(lambda: self._run(actor, body), self._environment))
        self.actors.append(actor)
        self._awake_until = 0
        return actor

    def let_run(self) -> None:
        """Let actors run until it is the environment's turn again."""
        self.turns += 1
        chosen = self._choose()
        if chosen is not None:
            self._switch_to(chosen)

    def freeze(self, actor: Actor, turns: int) -> None:
        """Let an actor stand still, wherever it is, for so many turns of the environment."""
        actor.frozen_until = self.turns + turns
        self._awake_until = 0

    def kill(self, actor: Actor) -> None:
        """End an actor, wherever it is."""
        actor.killed = True
        self._remove(actor)
        self._switch_to(actor)

    def die(self) -> NoReturn:
        """End the actor that calls this."""
        assert self.current is not None
        self.current.killed = True
        self._remove(self.current)
        self.ended.append(self.current.name)
        raise Killed

    def end(self) -> None:
        """End all of them."""
        for actor in list(self.actors):
            self.kill(actor)

    def switch(self, *, idle: bool = False) -> None:
        """Where an actor may be interrupted; `idle`: it has done a round. Raises Killed in one that is to end."""
        me = self.current
        if me is None:
            return
        if me.killed:
            raise Killed
        if not idle and me.frozen_until <= self.turns and self._rng.random() < self.stickiness:
            return
        chosen = None if self._rng.random() * self.patience < 1 else self._choose()
        if chosen is me:
            return
        self._switch_to(chosen)
        if me.killed:
            raise Killed

    def _choose(self) -> Actor | None:
        if self.turns >= self._awake_until:
            self._awake = [actor for actor in self.actors if actor.frozen_until <= self.turns]
            self._awake_until = min(
                (actor.frozen_until for actor in self.actors if actor.frozen_until > self.turns), default=_NEVER
            )
        return self._awake[int(self._rng.random() * len(self._awake))] if self._awake else None

    def _remove(self, actor: Actor) -> None:
        self.actors.remove(actor)
        self._awake_until = 0

    def _switch_to(self, actor: Actor | None) -> None:
        """Comes back when whoever calls this is chosen again; whoever switches to it says so."""
        self.current = actor
        (actor.greenlet if actor else self._environment).switch()

    def _run(self, actor: Actor, body: Callable[[], None]) -> None:
        try:
            if not actor.killed:
                body()
                self._remove(actor)
                self.ended.append(actor.name)
        except Killed:
            pass
        except BaseException as error:
            self.crashes.append(f"{actor.name} crashed: {error!r}")
            self._remove(actor)
        self.current = None  # what ends goes on with its parent, the environment
