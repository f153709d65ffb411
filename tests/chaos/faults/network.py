"""Connections of the fleet to a server: cut, refused, slow, or dead without being closed."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial

from tests.chaos.faults.fault import Draw, Fault, seconds
from tests.chaos.proxies import Proxy
from tests.chaos.rig import Rig

_SERVERS = ("mongodb", "redis", "postgresql")


def _cut(server: str, rig: Rig) -> str:
    for proxy in rig.proxies[server]:
        proxy.cut()
    return server


def _for_a_while(condition: Callable[..., AbstractContextManager[None]], server: str, rig: Rig, lasting: float) -> str:
    with ExitStack() as stack:
        for proxy in rig.proxies[server]:
            stack.enter_context(condition(proxy))
        rig.pause(lasting)
    return server


def _delay(server: str, rig: Rig, by: float, lasting: float) -> str:
    return _for_a_while(lambda proxy: proxy.delaying(by), server, rig, lasting)


def _kinds(server: str) -> tuple[Fault, ...]:
    lasting: dict[str, Draw] = {"lasting": seconds(1, 6)}
    return (
        Fault(f"{server}-cut", partial(_cut, server), {}),
        Fault(f"{server}-refuse", partial(_for_a_while, Proxy.refusing, server), lasting),
        Fault(f"{server}-stall", partial(_for_a_while, Proxy.stalling, server), {"lasting": seconds(1, 12)}),
        Fault(f"{server}-delay", partial(_delay, server), {"by": seconds(0.1, 0.5), **lasting}),
    )


FAULTS = tuple(fault for server in _SERVERS for fault in _kinds(server))
