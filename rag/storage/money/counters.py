"""Budgets counted in the database: each change is one transaction over all counters of a call.

On PostgreSQL a reservation's row is locked before counters, and counters in the order of their
names: whoever waits, waits for nobody who waits for them. SQLite has one writer as it is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from sqlalchemy import Connection, delete, select, tuple_, update

from rag.access import TenantId
from rag.errors import StorageUnavailable
from rag.gateway.budgets import (
    NOTHING,
    Amount,
    Limit,
    Reservation,
    Standing,
    Swept,
    over_budget,
)
from rag.gateway.money import Micro
from rag.storage.database import Database, insert_into
from rag.storage.moments import now
from rag.storage.money.usage import UsageLedger, spent_before
from rag.storage.parts import in_parts
from rag.storage.tables import BudgetCounterRow, ReservationRow

KEPT = timedelta(days=7)
"""How long a counter outlives its window, and a reservation its end: for whoever settles late."""
AT_ONCE = 200
"""Reservations that one sweep gives back."""

TRIES = 3
"""Times that missing counters are made for one call."""

_T = TypeVar("_T")
_COUNTER = BudgetCounterRow.__table__.c
_RESERVATION = ReservationRow.__table__.c


class _CountersMissing(Exception):  # noqa: N818
    """The transaction is undone; when they are there it is made again."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        super().__init__()
        self.limits = limits


@dataclass(frozen=True, slots=True)
class DatabaseBudgets:
    """Satisfies `Budgets`."""

    database: Database
    clock: Callable[[], datetime] = now

    async def reserve(self, reservation: Reservation) -> None:
        moment = self.clock()

        def work(connection: Connection) -> None:
            if not self._begin(connection, reservation):
                return
            rows = self._locked(connection, reservation.tenant, reservation.limits)
            for limit in reservation.limits:
                used = _spent(rows[limit.counter]) + _reserved(rows[limit.counter])
                if not limit.has_room(used + reservation.amount):
                    raise over_budget(limit, moment)  # and the whole transaction is undone
            _change(connection, reservation.tenant, rows, reserved=reservation.amount)

        await self._write(work)

    async def settle(self, reservation: Reservation, actual: Amount) -> Sequence[Standing]:
        def work(connection: Connection) -> Sequence[Standing]:
            held = self._settled(connection, reservation)
            if held is None:
                return ()
            rows = self._locked(connection, reservation.tenant, reservation.limits)
            less = NOTHING - held
            _change(connection, reservation.tenant, rows, spent=actual, reserved=less)
            return [
                Standing(limit, _spent(row) + actual, _reserved(row) + less)
                for limit in reservation.limits
                for row in (rows[limit.counter],)
            ]

        return await self._write(work)

    async def sweep(self, tenant: TenantId) -> Swept:
        moment, swept = self.clock(), Swept()
        while True:
            some = await self.database.write(lambda each: _sweep(each, tenant, moment))
            swept += some
            if some.reservations < AT_ONCE:
                break
        await self.database.write(lambda connection: _forget(connection, tenant, moment))
        return swept

    async def standing(self, limits: Sequence[Limit]) -> Sequence[Standing]:
        names = [(limit.tenant, limit.counter) for limit in limits]
        known: dict[tuple[str, str], Any] = {}
        for some in in_parts(names):
            query = select(_COUNTER.tenant, *_COUNTS).where(_NAME.in_(some))
            known |= {(row.tenant, row.counter): row for row in await self.database.rows(query)}
        # What nobody has counted yet is what the ledger says.
        missing = [limit for limit in limits if (limit.tenant, limit.counter) not in known]
        said = dict(zip(missing, await UsageLedger(self.database).spent(missing), strict=True))
        return [
            Standing(limit, said[limit])
            if limit in said
            else Standing(limit, _spent(known[name]), _reserved(known[name]))
            for limit, name in zip(limits, names, strict=True)
        ]

    async def _write(self, work: Callable[[Connection], _T]) -> _T:
        """What `work` returns. Counters that it misses are made, in a transaction of their own:
        nobody makes one while holding another, or two could wait for each other."""
        for _ in range(TRIES):
            try:
                return await self.database.write(work)
            except _CountersMissing as missing:
                await self.database.write(partial(self._make, limits=missing.limits))
        raise StorageUnavailable("the database does not keep what is counted in it")

    def _make(self, connection: Connection, *, limits: Sequence[Limit]) -> None:
        statement = insert_into(self.database, BudgetCounterRow).on_conflict_do_nothing()
        connection.execute(statement, [_begun(connection, limit) for limit in limits])

    def _begin(self, connection: Connection, reservation: Reservation) -> bool:
        """Whether the reservation is new."""
        statement = insert_into(self.database, ReservationRow).values(
            tenant=reservation.tenant,
            id=reservation.id,
            state="open",
            money=reservation.amount.money,
            tokens=reservation.amount.tokens,
            counters=[limit.counter for limit in reservation.limits],
            expires_at=reservation.expires_at,
        )
        begun = statement.on_conflict_do_nothing().returning(_RESERVATION.id)
        return connection.execute(begun).first() is not None

    def _settled(self, connection: Connection, reservation: Reservation) -> Amount | None:
        """What the reservation held until now; None where it was settled before."""
        own = (_RESERVATION.tenant == reservation.tenant) & (_RESERVATION.id == reservation.id)
        query = select(_RESERVATION.state, _RESERVATION.money, _RESERVATION.tokens).where(own)
        row = connection.execute(query.with_for_update()).one_or_none()
        if row is None:  # expired so long ago that it was forgotten: counted once all the same
            if not self._begin(connection, reservation):
                return None
            held = NOTHING
        elif row.state == "settled":
            return None
        else:
            held = NOTHING if row.state == "expired" else Amount(Micro(row.money), row.tokens)
        connection.execute(update(ReservationRow).where(own).values(state="settled"))
        return held

    def _locked(
        self, connection: Connection, tenant: TenantId, limits: Iterable[Limit]
    ) -> dict[str, Any]:
        """The counters, locked. Raises `_CountersMissing` where nobody has counted with them yet."""
        by_name = {limit.counter: limit for limit in limits}
        rows = _lock(connection, tenant, by_name)
        missing = [by_name[name] for name in sorted(by_name.keys() - rows.keys())]
        if missing:
            raise _CountersMissing(missing)
        return rows


_COUNTS = (
    _COUNTER.counter,
    _COUNTER.spent_money,
    _COUNTER.spent_tokens,
    _COUNTER.reserved_money,
    _COUNTER.reserved_tokens,
)
_NAME = tuple_(_COUNTER.tenant, _COUNTER.counter)


def _lock(connection: Connection, tenant: TenantId, names: Iterable[str]) -> dict[str, Any]:
    query = (
        select(*_COUNTS)
        .where(_COUNTER.tenant == tenant, _COUNTER.counter.in_(sorted(names)))
        .order_by(_COUNTER.counter)
        .with_for_update()
    )
    return {row.counter: row for row in connection.execute(query)}


def _begun(connection: Connection, limit: Limit) -> dict[str, Any]:
    spent = spent_before(connection, limit)
    return {
        "tenant": limit.tenant,
        "counter": limit.counter,
        "ends_at": limit.ends,
        "spent_money": spent.money,
        "spent_tokens": spent.tokens,
        "reserved_money": 0,
        "reserved_tokens": 0,
    }


def _change(
    connection: Connection,
    tenant: TenantId,
    names: Iterable[str],
    *,
    spent: Amount = NOTHING,
    reserved: Amount = NOTHING,
) -> None:
    connection.execute(
        update(BudgetCounterRow)
        .where(_COUNTER.tenant == tenant, _COUNTER.counter.in_(sorted(names)))
        .values(
            spent_money=_COUNTER.spent_money + spent.money,
            spent_tokens=_COUNTER.spent_tokens + spent.tokens,
            reserved_money=_COUNTER.reserved_money + reserved.money,
            reserved_tokens=_COUNTER.reserved_tokens + reserved.tokens,
        )
    )


def _sweep(connection: Connection, tenant: TenantId, moment: datetime) -> Swept:
    own = _RESERVATION.tenant == tenant
    expired = connection.execute(
        select(_RESERVATION.id, _RESERVATION.money, _RESERVATION.tokens, _RESERVATION.counters)
        .where(own, _RESERVATION.state == "open", _RESERVATION.expires_at <= moment)
        .order_by(_RESERVATION.expires_at)
        .limit(AT_ONCE)
        .with_for_update(skip_locked=True)
    ).all()
    if not expired:
        return Swept()
    given_back: dict[str, Amount] = {}
    total = NOTHING
    for row in expired:
        amount = Amount(Micro(row.money), row.tokens)
        total += amount
        for counter in row.counters:
            given_back[counter] = given_back.get(counter, NOTHING) + amount
    _lock(connection, tenant, given_back)
    for counter, amount in given_back.items():
        _change(connection, tenant, [counter], reserved=NOTHING - amount)
    ids = [row.id for row in expired]
    connection.execute(
        update(ReservationRow).where(own, _RESERVATION.id.in_(ids)).values(state="expired")
    )
    return Swept(len(expired), total)


def _forget(connection: Connection, tenant: TenantId, moment: datetime) -> None:
    """What is over for so long that nobody settles it any more."""
    connection.execute(
        delete(ReservationRow).where(
            _RESERVATION.tenant == tenant,
            _RESERVATION.state != "open",
            _RESERVATION.expires_at < moment - KEPT,
        )
    )
    connection.execute(
        delete(BudgetCounterRow).where(_COUNTER.tenant == tenant, _COUNTER.ends_at < moment - KEPT)
    )


def _spent(row: Any) -> Amount:
    return Amount(Micro(row.spent_money), row.spent_tokens)


def _reserved(row: Any) -> Amount:
    return Amount(Micro(row.reserved_money), row.reserved_tokens)
