"""Whether what was rolled out does badly: then it is ended or taken back, and somebody is told."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from rag.errors import Conflict
from rag.prompts.choosing import PRODUCTION
from rag.prompts.rollouts import Plan, Rollout
from rag.prompts.tallies import Limits, faults_of
from rag.prompts.versions import EVERY_TENANT
from rag.storage.moments import now
from rag.storage.prompts.ledger import Prompts
from rag.storage.prompts.outcomes import Outcomes
from rag.storage.prompts.records import PLATFORM, Change, ChangeKind
from rag.storage.prompts.rollouts import Rollouts

_MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class PromptWatch:
    ledger: Prompts
    rollouts: Rollouts
    outcomes: Outcomes
    limits: Limits
    window: timedelta
    """Only what happened within it counts."""
    after_promotion: timedelta
    """For how long a promoted version is watched."""
    clock: Callable[[], datetime] = now

    async def judge(self) -> list[str]:
        """What was ended or taken back just now, and why. Processes that judge at once do it once."""
        ended = [await self._rollout(each) for each in await self.rollouts.running()]
        promoted = await self.ledger.made_after(
            self.clock() - self.after_promotion, ChangeKind.PROMOTED
        )
        ended += [await self._promotion(each) for each in promoted if each.label == PRODUCTION]
        return [each for each in ended if each]

    async def _rollout(self, rollout: Rollout) -> str:
        if rollout.plan is Plan.SHADOW:
            spent = (await self.outcomes.of_arms(rollout.id))["candidate"].cost
            faults = ("its budget is spent",) if spent >= (rollout.budget or 0) else ()
        else:
            arms = await self.outcomes.of_arms(rollout.id, since=self.clock() - self.window)
            faults = faults_of(arms["candidate"], arms["control"], self.limits)
        if not faults:
            return ""
        reason = "; ".join(faults)
        stopped = await self.rollouts.stop(rollout, by=PLATFORM, reason=reason)
        return f"rollout {rollout.id} of {rollout.name} was ended: {reason}" if stopped else ""

    async def _promotion(self, change: Change) -> str:
        """Whether the promoted version does worse than the one before did until then."""
        if change.version is None:
            return ""
        labels = await self.ledger.labels(change.tenant, change.name)
        if labels.get(PRODUCTION) != (change.tenant, change.version):
            return ""
        before = change.before
        if before is None:
            every = await self.ledger.labels(EVERY_TENANT, change.name)
            if change.tenant == EVERY_TENANT or PRODUCTION not in every:
                # The first that there ever was: there is nothing to go back to.
                return ""
            before = every[PRODUCTION][1]
        moment, tenant, name = self.clock(), change.tenant, change.name
        new = await self.outcomes.of_version(
            tenant,
            name,
            change.version,
            since=max(_minute(change.made_at), moment - self.window),
            until=moment + _MINUTE,
        )
        old = await self.outcomes.of_version(
            tenant,
            name,
            before,
            since=change.made_at - self.window,
            until=change.made_at + _MINUTE,
        )
        faults = faults_of(new, old, self.limits)
        if not faults:
            return ""
        reason = "; ".join(faults)
        try:
            await self.ledger.roll_back(
                tenant, name, by=PLATFORM, reason=reason, only=change.version
            )
        except Conflict:
            # Another process, or a person, was quicker.
            return ""
        return f"{change.version} was rolled back: {reason}"


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
