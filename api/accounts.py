"""Who pays for what a caller asks for."""

from collections.abc import Sequence

from api.auth import Caller
from rag.access import PrincipalId
from rag.gateway.known_budgets import KnownBudgets
from rag.trail import Account


async def account_of(
    caller: Caller, *, known: KnownBudgets, teams: Sequence[PrincipalId] = ()
) -> Account:
    """The caller's account. Its team is the first group of theirs in `teams`, the operator's
    setting; else, in the order of the ids, the first that has a budget as a team; else none.

    Errors: those of `KnownBudgets.of`.
    """
    principal = caller.principal
    named = [*teams, *await known.teams(principal.tenant)]
    return Account(
        tenant=principal.tenant,
        user=principal.id,
        team=next((team for team in named if team in principal.groups), None),
        application=caller.key,
    )
