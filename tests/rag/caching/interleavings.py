"""Random interleavings of asking, permitting, editing, deleting and revoking, and what may be shown.

The ledger and the cache are the real ones. The reference is a dictionary of who may read what, and
nothing clever. Answers say all that their evidence says, in words that name document and revision.
"""

import asyncio
import random
import re
from collections import Counter
from dataclasses import dataclass, field, replace

from rag.access import TenantId
from rag.gateway.answer_cache.cache import AnswerCache
from rag.gateway.answer_cache.entries import CachedAnswer
from rag.types import ChunkId
from tests.rag.caching.company import ACME, OTHER, Company, Made, principal

TENANTS = (ACME, OTHER)
USERS = ("user:0", "user:1", "user:2", "user:3")
GROUPS = ("group:a", "group:b", "group:c")
TOPICS = ("zinc", "copper", "nickel")
DOCUMENTS_OF_A_TOPIC = 2
CODE = re.compile(r"k\w+-\d+-r\d+")
WAYS_TO_ASK = (
    "What is the limit for {}?",
    "what is the limit for {}",
    "Could you tell me what's the {} limit, please?",
    "What is the {} limit?",
)

Key = tuple[TenantId, str, int]


@dataclass(frozen=True, slots=True)
class Paper:
    """A document as the reference knows it."""

    code: str
    readers: frozenset[str]
    denied: frozenset[str]


@dataclass(slots=True)
class Interleavings:
    company: Company
    rng: random.Random
    caches: tuple[AnswerCache, ...]
    """Of processes that share the store."""
    papers: dict[Key, Paper] = field(default_factory=dict[Key, Paper])
    chunks: dict[Key, ChunkId] = field(default_factory=dict[Key, ChunkId])
    groups: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    waiting: list[Made] = field(default_factory=list[Made])
    """Answers that were made, and are kept only after something else happened."""
    counted: Counter[str] = field(default_factory=Counter[str])
    leaks: list[str] = field(default_factory=list[str])
    _revision: int = 0

    async def open(self) -> None:
        await self.company.open()
        self.groups = {user: self._some(GROUPS, 1) for user in USERS}
        for tenant in TENANTS:
            for topic in TOPICS:
                for number in range(DOCUMENTS_OF_A_TOPIC):
                    await self._put((tenant, topic, number))

    async def run(self, steps: int) -> None:
        kinds = (
            (self.ask, 62),
            (self.permit, 12),
            (self.edit, 6),
            (self.delete, 2),
            (self.regroup, 7),
            (self.keep_one_that_waits, 6),
            (self.ask_while_it_changes, 3),
            (self.time_passes, 1),
            (self.clear, 1),
        )
        weights = [weight for _, weight in kinds]
        for kind, _ in self.rng.choices(kinds, weights, k=steps):
            self.counted["steps"] += 1
            await kind()

    # --- what people do --------------------------------------------------------------------------

    async def ask(self) -> None:
        self.company.clock.passes(seconds=10)
        tenant, topic, user = self._one_of_all()
        text = self.rng.choice(WAYS_TO_ASK).format(topic)
        found = await self._look_up(text, tenant, user)
        if found is not None:
            self._check(found, tenant, user, self._readable(tenant, user))
            return
        made = await self._make(text, tenant, topic, user)
        if made is None:
            self.counted["nothing to read"] += 1
        elif self.rng.random() < 0.7:
            await self._keep(made)
        else:
            self.waiting.append(made)

    async def keep_one_that_waits(self) -> None:
        if self.waiting:
            self.counted["kept late"] += 1
            await self._keep(self.waiting.pop(self.rng.randrange(len(self.waiting))))

    async def ask_while_it_changes(self) -> None:
        """Whichever comes first, only what may be read before or after it is shown."""
        tenant, topic, user = self._one_of_all()
        before = self._readable(tenant, user)
        text = self.rng.choice(WAYS_TO_ASK).format(topic)
        change = self.rng.choice((self.permit, self.edit))
        found, _ = await asyncio.gather(self._look_up(text, tenant, user), change())
        self.counted["at once"] += 1
        if found is not None:
            self._check(found, tenant, user, before | self._readable(tenant, user))

    # --- what changes ----------------------------------------------------------------------------

    async def permit(self) -> None:
        key = self._a_key()
        if key not in self.papers:
            await self._put(key)
            return
        readers, denied = self._readers()
        tenant, topic, number = key
        await self.company.permit(f"{topic}-{number}", readers, denied=denied, tenant=tenant)
        self.papers[key] = replace(self.papers[key], readers=readers, denied=denied)
        self.counted["permissions changed"] += 1

    async def edit(self) -> None:
        await self._put(self._a_key())
        self.counted["edits"] += 1

    async def delete(self) -> None:
        key = self._a_key()
        if self.papers.pop(key, None) is not None:
            await self.company.delete(f"{key[1]}-{key[2]}", key[0])
            self.counted["deletions"] += 1

    async def regroup(self) -> None:
        self.groups[self.rng.choice(USERS)] = self._some(GROUPS, 2)
        self.counted["groups changed"] += 1

    async def time_passes(self) -> None:
        self.company.clock.passes(seconds=self.rng.choice((1, 30, 600)))

    async def clear(self) -> None:
        if self.rng.random() < 0.05:
            await self.caches[0].clear(self.rng.choice(TENANTS))
            self.counted["cleared"] += 1

    # --- the reference ---------------------------------------------------------------------------

    def _readable(self, tenant: TenantId, user: str) -> set[str]:
        """The codes of what the user may read at this moment."""
        held = {"everyone", user, *self.groups[user]}
        return {
            paper.code
            for (of, _, _), paper in self.papers.items()
            if of == tenant and paper.readers & held and not paper.denied & held
        }

    def _check(self, found: CachedAnswer, tenant: TenantId, user: str, readable: set[str]) -> None:
        self.counted[f"{found.how} hits"] += 1
        shown = CODE.findall(found.answer.text)
        shown += [code for each in found.evidence for code in CODE.findall(each.text)]
        shown += [code for each in found.answer.citations for code in CODE.findall(each.quote)]
        assert shown
        for code in sorted(set(shown) - readable):
            self.leaks.append(f"{user} of {tenant} was shown {code}")

    # --- helpers of the above ---------------------------------------------------------------------

    async def _look_up(self, text: str, tenant: TenantId, user: str) -> CachedAnswer | None:
        self.counted["asked"] += 1
        who = principal(user, *sorted(self.groups[user]), tenant=tenant)
        return await self.company.look_up(text, who, cache=self.rng.choice(self.caches))

    async def _make(self, text: str, tenant: TenantId, topic: str, user: str) -> Made | None:
        who = principal(user, *sorted(self.groups[user]), tenant=tenant)
        chunks = [
            chunk for (of, about, _), chunk in self.chunks.items() if (of, about) == (tenant, topic)
        ]
        return await self.company.make(text, who, chunks)

    async def _keep(self, made: Made) -> None:
        assert await self.company.keep(made, cache=self.rng.choice(self.caches)) is None

    async def _put(self, key: Key) -> None:
        tenant, topic, number = key
        self._revision += 1
        readers, denied = self._readers()
        code = f"k{tenant}{topic}-{number}-r{self._revision}"
        [self.chunks[key]] = await self.company.publish(
            f"{topic}-{number}",
            [f"The limit of {topic} is {code}."],
            readers=readers,
            denied=denied,
            tenant=tenant,
        )
        self.papers[key] = Paper(code, readers, denied)

    def _readers(self) -> tuple[frozenset[str], frozenset[str]]:
        readers = self._some((*USERS, *GROUPS, "everyone"), 3)
        return readers, self._some((*USERS, *GROUPS), 1) if self.rng.random() < 0.2 else frozenset()

    def _some(self, of: tuple[str, ...], most: int) -> frozenset[str]:
        return frozenset(self.rng.sample(of, self.rng.randint(0, most)))

    def _one_of_all(self) -> tuple[TenantId, str, str]:
        return self.rng.choice(TENANTS), self.rng.choice(TOPICS), self.rng.choice(USERS)

    def _a_key(self) -> Key:
        number = self.rng.randrange(DOCUMENTS_OF_A_TOPIC)
        return self.rng.choice(TENANTS), self.rng.choice(TOPICS), number


async def interleave(company: Company, *, steps: int, seed: int) -> Interleavings:
    """`steps` random steps over `company`, whose cache is used from two processes."""
    caches = (company.another_process(), company.another_process())
    played = Interleavings(company, random.Random(seed), caches)
    await played.open()
    await played.run(steps)
    return played
