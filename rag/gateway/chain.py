"""Where a call goes next when it fails: the order of models, deployments and rounds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from rag.gateway.attempts import Failed, Rejected
from rag.gateway.catalogue import Deployment, ModelSpec
from rag.trail import AttemptOutcome

_MAY_PASS = frozenset[AttemptOutcome](
    {"unreachable", "server_error", "broken_off", "bad_response", "wrong_schema"}
)
"""Faults for which the same deployment is tried again. One that was slow would be slow again, and
one that is busy said so."""


@dataclass(slots=True)
class Chain:
    """Each model in turn: first every deployment once, then those whose fault may pass, again."""

    models: Sequence[ModelSpec]
    retries: int
    pause_before: int = 0
    """Number of the round that begins, of those after the first; 0 when there is nothing to wait
    for."""
    stricter: bool = False
    """Whether an answer did not satisfy the schema."""
    owes: bool = False
    """Whether an attempt was billed since the budgets last held enough for one."""
    last: Failed | None = None
    """The last failure that is no rejection."""
    _at: int = -1
    _round: int = 0
    _rejects: bool = False
    """Whether the model that is tried now found the request itself at fault."""
    _might_take_it: bool = False
    """Whether one before it did not: it failed, or was not asked."""
    _comes_back_s: float | None = None
    """When the first of its deployments that were not asked, or were busy, may be asked again."""
    _others_come_back_s: float | None = None
    """The same of the models before it, but for those that found the request at fault."""
    _left: list[Deployment] = field(default_factory=list[Deployment])
    _again: list[Deployment] = field(default_factory=list[Deployment])

    def __post_init__(self) -> None:
        self._next_model()

    @property
    def rejected(self) -> bool:
        """Whether every model found the request itself at fault. One that was busy, out of time or
        faulty might take it later, as it stands."""
        return self._at >= len(self.models) and not self._might_take_it

    @property
    def retry_after_s(self) -> float | None:
        """When the first that was not asked, or was busy, may be asked again."""
        own = None if self._rejects else self._comes_back_s
        return _sooner(own, self._others_come_back_s)

    @property
    def model(self) -> ModelSpec | None:
        """The model to be tried now, which has deployments left; None at the chain's end."""
        while not self._left:
            if self._at >= len(self.models):
                return None
            if self._again and self._round < self.retries:
                self._round += 1
                self.pause_before = self._round
                self._left, self._again = self._again, []
            else:
                self._next_model()
        return self.models[self._at]

    @property
    def deployments(self) -> Sequence[Deployment]:
        """Those of `model` that are still to be tried in this round."""
        return self._left

    def skip(self, deployment: Deployment, *, retry_after_s: float) -> None:
        """It may not be called now."""
        self._left.remove(deployment)
        self._come_back(retry_after_s)

    def skip_model(self) -> None:
        self._left, self._again = [], []

    def failed(self, deployment: Deployment, how: Failed | Rejected) -> None:
        """It was called, and this is how it went."""
        self._left.remove(deployment)
        if isinstance(how, Rejected):
            if how.by_all:
                self._rejects = True
                self.skip_model()
                return
            # Its own address or key is at fault.
            self.last = Failed("server_error")
            return
        self.last = how
        self.stricter = self.stricter or how.outcome == "wrong_schema"
        if how.retry_after_s is not None:
            self._come_back(how.retry_after_s)
        elif how.outcome in _MAY_PASS:
            self._again.append(deployment)

    def _next_model(self) -> None:
        self._others_come_back_s = self.retry_after_s
        if self._at >= 0:
            self._might_take_it = self._might_take_it or not self._rejects
        self._rejects, self._comes_back_s = False, None
        self._at += 1
        self._round = self.pause_before = 0
        more = self._at < len(self.models)
        self._left = list(self.models[self._at].deployments) if more else []
        self._again = []

    def _come_back(self, seconds: float) -> None:
        self._comes_back_s = _sooner(self._comes_back_s, seconds)


def _sooner(one: float | None, other: float | None) -> float | None:
    known = [each for each in (one, other) if each is not None]
    return min(known, default=None)
