"""Actors that run one at a time, in an order that a seed decides, and that can be frozen or killed at any call.

Each actor is a thread, so that it can stand still in the middle of anything; a baton sees to it that only one of them
ever runs. Whoever has the baton hands it on in `switch`, which every call of an in-memory part goes through.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from typing import NoReturn


class Killed(BaseException):
    """The actor ends here, without another word to anybody: what `kill -9` does."""


class Actor:
    """One thread, and the baton's place in it."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self.name = name
        self.body = body
        self.baton = threading.Semaphore(0)
        self.killed = False
        self.frozen_until = 0
        self.thread: threading.Thread | None = None


class Interleaving:
    """The actors of one run. The thread that made it is the environment: it has the baton until it calls `let_run`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._environment = threading.Semaphore(0)
        self._current: Actor | None = None
        self.actors: list[Actor] = []
        self.turns = 0
        self.patience = 8.0
        """How often the baton goes from actor to actor, on average, before the environment has its turn."""
        self.stickiness = 0.5
        """How likely an actor is to go on where it could be interrupted."""
        self.crashes: list[str] = []

    def start(self, name: str, body: Callable[[], None]) -> Actor:
        """Add an actor; it runs `body` when it is first chosen."""
        actor = Actor(name, body)
        actor.thread = threading.Thread(target=self._run, args=(actor,), name=name, daemon=True)
        actor.thread.start()
        self.actors.append(actor)
        return actor

    def let_run(self) -> None:
        """Give the baton away until it is the environment's turn again."""
        self.turns += 1
        chosen = self._choose()
        if chosen is not None:
            self._hand_to(chosen)
            self._environment.acquire()

    def freeze(self, actor: Actor, turns: int) -> None:
        """Let an actor stand still, wherever it is, for so many turns of the environment."""
        actor.frozen_until = self.turns + turns

    def kill(self, actor: Actor) -> None:
        """End an actor, wherever it is."""
        actor.killed = True
        self.actors.remove(actor)
        self._hand_to(actor)
        self._environment.acquire()
        assert actor.thread is not None
        actor.thread.join()

    def die(self) -> NoReturn:
        """End the actor that calls this."""
        assert self._current is not None
        self._current.killed = True
        self.actors.remove(self._current)
        raise Killed

    def end(self) -> None:
        """End all of them."""
        for actor in list(self.actors):
            self.kill(actor)

    @property
    def current(self) -> Actor | None:
        """The actor that has the baton; None: the environment has it."""
        return self._current

    def switch(self, *, idle: bool = False) -> None:
        """Where an actor may be interrupted; `idle`: it has done a round. Raises Killed in one that is to end."""
        me = self._current
        if me is None:
            return
        if me.killed:
            raise Killed
        frozen = me.frozen_until > self.turns
        if not frozen and not idle and self._rng.random() < self.stickiness:
            return
        chosen = None if self._rng.random() * self.patience < 1 else self._choose()
        if chosen is me:
            return
        if chosen is None:
            self._hand_to_environment()
        else:
            self._hand_to(chosen)
        me.baton.acquire()
        if me.killed:
            raise Killed

    def _choose(self) -> Actor | None:
        awake = [actor for actor in self.actors if actor.frozen_until <= self.turns]
        return self._rng.choice(awake) if awake else None

    def _hand_to(self, actor: Actor) -> None:
        self._current = actor
        actor.baton.release()

    def _hand_to_environment(self) -> None:
        self._current = None
        self._environment.release()

    def _run(self, actor: Actor) -> None:
        actor.baton.acquire()
        try:
            if not actor.killed:
                actor.body()
        except Killed:
            pass
        except BaseException as error:
            self.crashes.append(f"{actor.name} crashed: {error!r}")
            self.actors.remove(actor)
        finally:
            self._hand_to_environment()
