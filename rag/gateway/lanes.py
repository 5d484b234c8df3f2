"""Room at a deployment: so many calls at once, and interactive work before batch work."""

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import assert_never

from rag.gateway.calls import Lane
from rag.gateway.catalogue import Deployment

Turn = asyncio.Future[None]


@dataclass(slots=True)
class Room:
    """The slots of one deployment in this process.

    Batch work fills `batch_slots` of them at most, and takes none while interactive work waits.
    """

    slots: int
    batch_slots: int
    taken: int = 0
    _interactive: deque[Turn] = field(default_factory=deque[Turn])
    _batch: deque[Turn] = field(default_factory=deque[Turn])

    @property
    def load(self) -> int:
        """Calls that run and calls that wait."""
        return self.taken + len(self._interactive) + len(self._batch)

    def try_enter(self, lane: Lane) -> bool:
        """Take a slot if there is one, without waiting and without overtaking anybody."""
        if not self._is_free(lane) or self._queue(lane):
            return False
        self.taken += 1
        return True

    async def enter(self, lane: Lane) -> None:
        """Take a slot as soon as it is one's turn."""
        if self.try_enter(lane):
            return
        turn: Turn = asyncio.get_running_loop().create_future()
        self._queue(lane).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()
            else:
                with suppress(ValueError):  # whoever left meanwhile passed over it
                    self._queue(lane).remove(turn)
                # Batch work may have waited for this one alone.
                self._call_next()
            raise

    def leave(self) -> None:
        self.taken -= 1
        self._call_next()

    def _call_next(self) -> None:
        for lane in (Lane.INTERACTIVE, Lane.BATCH):
            queue = self._queue(lane)
            while queue and self._is_free(lane):
                turn = queue.popleft()
                if not turn.done():
                    self.taken += 1
                    turn.set_result(None)

    def _is_free(self, lane: Lane) -> bool:
        match lane:
            case Lane.INTERACTIVE:
                return self.taken < self.slots
            case Lane.BATCH:
                return self.taken < self.batch_slots and not self._interactive
            case _:
                assert_never(lane)

    def _queue(self, lane: Lane) -> deque[Turn]:
        return self._interactive if lane is Lane.INTERACTIVE else self._batch


class Rooms:
    """The rooms of all deployments, and which of them has the most room for its weight."""

    def __init__(self, *, batch_share: float = 0.5) -> None:
        """`batch_share`: of a deployment's slots, those that batch work may fill."""
        self._batch_share = batch_share
        self._rooms: dict[str, Room] = {}
        self._credit: dict[str, int] = {}

    def of(self, deployment: Deployment) -> Room:
        room = self._rooms.get(deployment.name)
        if room is None:
            slots = max(1, deployment.max_concurrent)
            room = Room(slots, min(slots, max(1, int(slots * self._batch_share))))
            self._rooms[deployment.name] = room
        return room

    def least_loaded(self, deployments: Sequence[Deployment]) -> list[Deployment]:
        """`deployments`, the least loaded for its weight first. Those that are equally loaded take
        turns by weight, evenly spread (the smooth weighted round robin of nginx)."""
        if len(deployments) == 1:
            return list(deployments)
        load = {each.name: self.of(each).load / max(1, each.weight) for each in deployments}
        least = min(load.values())
        equal = [each for each in deployments if load[each.name] == least]
        for each in equal:
            self._credit[each.name] = self._credit.get(each.name, 0) + max(1, each.weight)
        first = max(equal, key=lambda each: self._credit[each.name])
        self._credit[first.name] -= sum(max(1, each.weight) for each in equal)
        rest = sorted(
            (each for each in deployments if each is not first), key=lambda each: load[each.name]
        )
        return [first, *rest]
