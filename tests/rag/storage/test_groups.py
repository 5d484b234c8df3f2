"""Groups: who belongs to which through others, from when and until when, in every process."""

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rag.access import EVERYONE, Membership, Principal, PrincipalId, TenantId
from rag.errors import InvalidRequest, NotFound, TooManyGroups
from rag.storage.access.expansion import Expansions
from rag.storage.access.group_edges import MAX_CLOSURE
from rag.storage.access.groups import BY_ADMINS, Epoch, Groups
from rag.storage.database import Database, open_database
from rag.storage.sources.ledger import Sources
from rag.types import SourceId
from tests.clock import Clock

ACME, OTHER = TenantId("acme"), TenantId("other")
DIRECTORY, WIKI = SourceId("directory"), SourceId("wiki")
NOW = datetime(2026, 3, 31, 12, tzinfo=UTC)
ANNA = PrincipalId("user:anna")


def edges(*pairs: str, until: datetime | None = None) -> list[Membership]:
    """`a>b` for: a is a member of b."""
    split = (pair.partition(">") for pair in pairs)
    return [Membership(PrincipalId(a), PrincipalId(b), until) for a, _, b in split]


def chain(length: int) -> list[Membership]:
    steps = [f"group:{n}>group:{n + 1}" for n in range(1, length)]
    return edges("user:anna>group:1", *steps)


@pytest.fixture
async def groups(database: Database) -> Groups:
    for tenant in (ACME, OTHER):
        await Sources(database).add_tenant(tenant)
    return Groups(database, Clock(NOW))


async def groups_of(groups: Groups, *identities: str, tenant: TenantId = ACME) -> set[str]:
    return set(await groups.closure(tenant, [PrincipalId(one) for one in identities]))


async def test_who_belongs_to_a_group_belongs_to_the_groups_it_belongs_to(groups: Groups) -> None:
    said = edges("user:anna>group:a", "group:a>group:b", "group:b>group:c", "user:ben>group:c")
    assert await groups.replace(ACME, DIRECTORY, said) == 4
    assert await groups_of(groups, "user:anna") == {"group:a", "group:b", "group:c"}
    assert await groups_of(groups, "user:ben") == {"group:c"}
    assert await groups_of(groups, "group:b") == {"group:c"}
    assert await groups_of(groups, "user:cleo") == set()


async def test_a_cycle_ends(groups: Groups) -> None:
    said = edges("user:anna>group:a", "group:a>group:b", "group:b>group:a", "group:b>group:b")
    await groups.replace(ACME, DIRECTORY, said)
    assert await groups_of(groups, "user:anna") == {"group:a", "group:b"}


async def test_a_chain_of_a_thousand_groups_is_followed_to_its_end(groups: Groups) -> None:
    await groups.replace(ACME, DIRECTORY, chain(1_000))
    assert len(await groups_of(groups, "user:anna")) == 1_000
    before = await groups.epoch(ACME, [ANNA])
    await groups.put_members(
        ACME, PrincipalId("group:1000"), edges("group:0>group:1000"), source=DIRECTORY
    )
    assert len(await groups_of(groups, "user:anna")) == 999
    assert await groups.epoch(ACME, [ANNA]) != before


async def test_too_many_groups_are_an_error_and_never_fewer(groups: Groups) -> None:
    said = edges(*(f"user:anna>group:{n}" for n in range(MAX_CLOSURE)))
    await groups.replace(ACME, DIRECTORY, said)
    assert len(await groups_of(groups, "user:anna")) == MAX_CLOSURE
    await groups.put_members(ACME, PrincipalId("group:x"), edges("group:7>group:x"))
    with pytest.raises(TooManyGroups, match="5000"):
        await groups.closure(ACME, [ANNA])


async def test_tenants_share_no_edge(groups: Groups) -> None:
    await groups.replace(OTHER, DIRECTORY, edges("user:anna>group:a"))
    await groups.replace(ACME, DIRECTORY, edges("group:a>group:b"))
    assert await groups_of(groups, "user:anna") == set()
    assert await groups_of(groups, "user:anna", tenant=OTHER) == {"group:a"}
    await groups.replace(ACME, DIRECTORY, [])
    assert await groups_of(groups, "user:anna", tenant=OTHER) == {"group:a"}


async def test_each_source_speaks_for_itself(groups: Groups) -> None:
    await groups.replace(ACME, DIRECTORY, edges("user:anna>group:a", "user:anna>group:b"))
    await groups.replace(ACME, WIKI, edges("user:anna>group:a"))
    await groups.replace(ACME, DIRECTORY, [])
    assert await groups_of(groups, "user:anna") == {"group:a"}
    await groups.put_members(ACME, PrincipalId("group:c"), edges("user:anna>group:c"))
    await groups.replace(ACME, WIKI, [])
    assert await groups_of(groups, "user:anna") == {"group:c"}


async def test_a_membership_ends_by_itself(groups: Groups, database: Database) -> None:
    clock = Clock(NOW)
    groups = Groups(database, clock)
    end = NOW + timedelta(hours=1)
    await groups.replace(ACME, DIRECTORY, edges("user:anna>group:a", until=end))
    await groups.replace(ACME, WIKI, edges("group:a>group:b"))
    expansions = Expansions(groups)
    anna = Principal(ACME, ANNA)
    first = await expansions.of(anna)
    assert first.principal.groups == {"group:a", "group:b"}
    clock.now = end - timedelta(microseconds=1)
    assert await expansions.of(anna) is first
    clock.now = end
    assert (await expansions.of(anna)).principal.groups == frozenset()


async def test_what_everyone_belongs_to_everybody_belongs_to(groups: Groups) -> None:
    expansions = Expansions(groups)
    anna = Principal(ACME, ANNA)
    assert (await expansions.of(anna)).principal.groups == frozenset()
    await groups.put_members(ACME, PrincipalId("group:staff"), edges("everyone>group:staff"))
    assert (await expansions.of(anna)).principal.groups == {"group:staff"}


async def test_a_change_raises_the_epoch_of_those_it_may_concern_and_of_no_one_else(
    groups: Groups,
) -> None:
    said = edges("user:anna>group:a", "group:a>group:b", "user:ben>group:b", "user:cleo>group:c")
    await groups.replace(ACME, DIRECTORY, said)
    people = ["user:anna", "user:ben", "user:cleo", "group:a", "group:b", "everyone"]

    async def raised_by(*said: Membership) -> set[str]:
        before = {one: await groups.epoch(ACME, [PrincipalId(one)]) for one in people}
        await groups.replace(ACME, DIRECTORY, said)
        after = {one: await groups.epoch(ACME, [PrincipalId(one)]) for one in people}
        return {one for one in people if before[one] != after[one]}

    assert await raised_by(*said) == set()
    more = [*said, *edges("group:b>group:d")]
    assert await raised_by(*more) == {"user:anna", "user:ben", "group:a", "group:b"}
    ending = [*said, *edges("group:b>group:d", until=NOW + timedelta(days=1))]
    assert await raised_by(*ending) == {"user:anna", "user:ben", "group:a", "group:b"}
    assert await raised_by(*said) == {"user:anna", "user:ben", "group:a", "group:b"}
    assert await raised_by(*said[1:]) == {"user:anna"}


async def test_a_removal_in_one_process_counts_in_the_next_question_of_another(
    groups: Groups, database_url: str
) -> None:
    anna = Principal(ACME, ANNA, frozenset({PrincipalId("group:token")}))
    async with open_database(database_url) as elsewhere:
        theirs = Expansions(Groups(elsewhere))
        await groups.replace(ACME, DIRECTORY, edges("group:token>group:a", "group:a>group:b"))
        first = await theirs.of(anna)
        assert first.principal.groups == {"group:token", "group:a", "group:b"}
        assert await theirs.of(anna) is first
        await groups.replace(ACME, DIRECTORY, edges("group:token>group:a"))
        assert (await theirs.of(anna)).principal.groups == {"group:token", "group:a"}


async def test_of_two_who_speak_for_a_source_at_once_the_last_is_heard_whole(
    groups: Groups, database_url: str
) -> None:
    async with open_database(database_url) as elsewhere:
        said = {n: edges(*(f"user:anna>group:{n}-{m}" for m in range(20))) for n in range(8)}
        await asyncio.gather(
            *(
                (groups if n % 2 else Groups(elsewhere)).replace(ACME, DIRECTORY, each)
                for n, each in said.items()
            )
        )
        found = await groups_of(groups, "user:anna")
        assert found in [{edge.group for edge in each} for each in said.values()]


async def test_of_two_edges_made_at_once_each_raises_the_epoch_of_who_the_other_reaches(
    groups: Groups, database_url: str
) -> None:
    async with open_database(database_url) as elsewhere:
        others = Groups(elsewhere)
        expansions = Expansions(groups)
        for _ in range(5):
            await asyncio.gather(
                groups.replace(ACME, DIRECTORY, edges("user:anna>group:a")),
                others.replace(ACME, WIKI, edges("group:a>group:b")),
                expansions.of(Principal(ACME, ANNA)),
            )
            found = await expansions.of(Principal(ACME, ANNA))
            assert found.principal.groups == {"group:a", "group:b"}
            await asyncio.gather(
                groups.replace(ACME, DIRECTORY, []), others.replace(ACME, WIKI, [])
            )


async def test_administrators_see_who_says_what(groups: Groups) -> None:
    await groups.replace(ACME, DIRECTORY, edges("user:anna>group:a", "user:ben>group:b"))
    await groups.put_members(ACME, PrincipalId("group:a"), edges("user:ben>group:a"))
    listed = await groups.listed(ACME)
    assert [(each.id, each.members, each.sources) for each in listed] == [
        ("group:a", 2, 2),
        ("group:b", 1, 1),
    ]
    assert [each.id for each in await groups.listed(ACME, after="group:a")] == ["group:b"]
    told = await groups.members(ACME, PrincipalId("group:a"))
    assert [(each.membership.member, each.source) for each in told] == [
        (ANNA, DIRECTORY),
        ("user:ben", BY_ADMINS),
    ]
    with pytest.raises(NotFound):
        await groups.members(OTHER, PrincipalId("group:a"))


@pytest.mark.parametrize(
    "said",
    [
        edges("user:anna>finance"),
        edges("user:anna>user:ben"),
        edges("user:anna>everyone"),
        edges("anna>group:a"),
        edges("user:anna>group:a", "user:anna>group:a"),
        edges("user:anna>group:a", until=datetime(2026, 1, 1)),  # noqa: DTZ001 - the mistake
    ],
    ids=lambda said: " ".join(f"{each.member}>{each.group}" for each in said),
)
async def test_what_is_no_membership_is_refused_whole(
    said: list[Membership], groups: Groups
) -> None:
    await groups.replace(ACME, DIRECTORY, edges("user:ben>group:a"))
    with pytest.raises(InvalidRequest):
        await groups.replace(ACME, DIRECTORY, [*edges("user:cleo>group:a"), *said])
    assert await groups_of(groups, "user:cleo") == set()
    assert await groups_of(groups, "user:ben") == {"group:a"}


# --- the law: reachability in a graph, and caches that are never stale ----------------------------

PEOPLE = ("user:0", "user:1", "everyone")
SETS = tuple(f"group:{n}" for n in range(6))
MINUTES = st.one_of(st.none(), st.none(), st.integers(1, 5))
EDGES = st.dictionaries(
    st.tuples(st.sampled_from((*PEOPLE, *SETS)), st.sampled_from(SETS)), MINUTES, max_size=12
)


@dataclass
class Change:
    tenant: TenantId
    source: SourceId
    said: dict[tuple[str, str], int | None]
    later: int


CHANGES = st.builds(
    Change,
    tenant=st.sampled_from((ACME, ACME, OTHER)),
    source=st.sampled_from((DIRECTORY, WIKI)),
    said=EDGES,
    later=st.integers(0, 2),
)
ASKING = st.builds(
    Principal,
    tenant=st.just(ACME),
    id=st.sampled_from(PEOPLE[:2]).map(PrincipalId),
    groups=st.frozensets(st.sampled_from(SETS).map(PrincipalId), max_size=2),
)


@dataclass
class Reference:
    """Edges in a dictionary, and a walk along them."""

    said: dict[tuple[TenantId, SourceId], dict[tuple[str, str], datetime | None]] = field(
        default_factory=dict[tuple[TenantId, SourceId], dict[tuple[str, str], datetime | None]]
    )

    def reachable(self, tenant: TenantId, seeds: Collection[str], at: datetime) -> set[str]:
        live = {
            edge
            for (of, _), said in self.said.items()
            for edge, end in said.items()
            if of == tenant and (end is None or end > at)
        }
        found: set[str] = set()
        waiting = set(seeds)
        while waiting:
            reached = {group for member, group in live if member in waiting} - found
            found |= reached
            waiting = reached
        return found


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(CHANGES, min_size=1, max_size=6), asking=st.lists(ASKING, min_size=2))
async def test_groups_are_what_can_be_reached_whatever_was_remembered(
    database: Database, changes: Iterable[Change], asking: list[Principal]
) -> None:
    for tenant in (ACME, OTHER):
        await Sources(database).add_tenant(tenant)
        for source in (DIRECTORY, WIKI):
            await Groups(database).replace(tenant, source, [])
    clock, reference = Clock(NOW), Reference()
    groups = Groups(database, clock)
    remembering = Expansions(groups)
    epochs: dict[tuple[Principal, Epoch], frozenset[PrincipalId]] = {}
    for change in changes:
        said = {
            edge: None if end is None else clock.now + timedelta(minutes=end)
            for edge, end in change.said.items()
        }
        reference.said[change.tenant, change.source] = said
        await groups.replace(
            change.tenant,
            change.source,
            [Membership(PrincipalId(a), PrincipalId(b), end) for (a, b), end in said.items()],
        )
        for _ in range(change.later + 1):
            for principal in asking:
                seeds = {EVERYONE, principal.id} | principal.groups
                expected = principal.groups | reference.reachable(ACME, seeds, clock.now)
                found = await remembering.of(principal)
                assert found.principal.groups == expected
                # What anybody remembered under this epoch was, and is, right.
                key = (principal, found.epoch)
                assert epochs.setdefault(key, found.principal.groups) == expected
            clock.now += timedelta(minutes=1)
