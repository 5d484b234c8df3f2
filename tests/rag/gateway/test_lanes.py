"""Room at a deployment: never too many, interactive work first, nobody forgotten."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag.gateway.calls import Lane
from rag.gateway.lanes import Room, Rooms
from tests.gateways import a_deployment

STEPS = st.lists(
    st.tuples(st.sampled_from(["come", "batch", "leave", "give up"]), st.integers(0, 9)),
    max_size=40,
)


async def test_whoever_gives_up_just_when_a_slot_is_left_is_cancelled_and_nothing_else() -> None:
    room = Room(1, 1)
    await room.enter(Lane.INTERACTIVE)
    waiting = asyncio.create_task(room.enter(Lane.INTERACTIVE))
    await asyncio.sleep(0)
    waiting.cancel()
    room.leave()
    await asyncio.wait([waiting])
    assert waiting.cancelled()
    assert (room.taken, room.load) == (0, 0)


@given(slots=st.integers(1, 4), batch_slots=st.integers(1, 4), steps=STEPS)
def test_whatever_happens_no_slot_is_lost_and_none_is_taken_twice(
    slots: int, batch_slots: int, steps: list[tuple[str, int]]
) -> None:
    asyncio.run(_live(Room(slots, min(slots, batch_slots)), steps))


async def _live(room: Room, steps: list[tuple[str, int]]) -> None:
    inside: list[Lane] = []
    waiting: list[asyncio.Task[None]] = []

    async def come(lane: Lane) -> None:
        await room.enter(lane)
        inside.append(lane)

    for step, which in steps:
        match step:
            case "come" | "batch":
                lane = Lane.INTERACTIVE if step == "come" else Lane.BATCH
                waiting.append(asyncio.create_task(come(lane)))
            case "leave" if inside:
                inside.pop(which % len(inside))
                room.leave()
            case "give up" if waiting:
                waiting.pop(which % len(waiting)).cancel()
            case _:
                pass
        if which % 2:
            await _settled()
            assert room.taken == len(inside) <= room.slots
            assert Counter(inside)[Lane.BATCH] <= room.batch_slots
    await _settled()
    for _ in range(len(waiting) + 1):
        while inside:
            inside.pop()
            room.leave()
        await _settled()
    assert all(task.done() for task in waiting), "whoever waits has a turn"
    assert (room.taken, room.load) == (0, 0)


async def _settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_interactive_work_is_first_however_late_it_comes() -> None:
    room = Room(slots=1, batch_slots=1)
    order: list[str] = []

    async def work(name: str, lane: Lane) -> None:
        await room.enter(lane)
        order.append(name)
        await asyncio.sleep(0)
        room.leave()

    assert room.try_enter(Lane.INTERACTIVE)
    tasks = [asyncio.create_task(work(f"batch {n}", Lane.BATCH)) for n in (1, 2)]
    await _settled()
    tasks += [asyncio.create_task(work(f"person {n}", Lane.INTERACTIVE)) for n in (1, 2)]
    await _settled()
    room.leave()
    await asyncio.gather(*tasks)

    assert order == ["person 1", "person 2", "batch 1", "batch 2"]


async def test_batch_work_leaves_room_for_a_person_who_is_not_there_yet() -> None:
    room = Room(slots=4, batch_slots=2)

    assert [room.try_enter(Lane.BATCH) for _ in range(3)] == [True, True, False]
    assert room.try_enter(Lane.INTERACTIVE)


async def test_nobody_overtakes_who_waits_in_the_same_lane() -> None:
    room = Room(slots=1, batch_slots=1)
    room.try_enter(Lane.INTERACTIVE)
    first = asyncio.create_task(room.enter(Lane.INTERACTIVE))
    await _settled()
    room.leave()

    assert not room.try_enter(Lane.INTERACTIVE)
    await first


@pytest.mark.parametrize("weights", [(1, 1), (3, 1), (5, 2, 1)])
def test_idle_deployments_are_called_in_proportion_to_their_weights(
    weights: tuple[int, ...],
) -> None:
    rooms = Rooms()
    deployments = [
        a_deployment(f"d-{number}", weight=weight) for number, weight in enumerate(weights)
    ]

    called = Counter(rooms.least_loaded(deployments)[0].name for _ in range(sum(weights) * 10))

    assert [called[each.name] for each in deployments] == [weight * 10 for weight in weights]


def test_load_is_held_against_weight() -> None:
    rooms = Rooms()
    strong, weak = a_deployment("strong", weight=4), a_deployment("weak", weight=1)
    for _ in range(3):
        rooms.of(strong).try_enter(Lane.INTERACTIVE)
    rooms.of(weak).try_enter(Lane.INTERACTIVE)

    assert [each.name for each in rooms.least_loaded([weak, strong])] == ["strong", "weak"]
