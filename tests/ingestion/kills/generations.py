"""Generations of the index on the way through a world: what is wanted of them in each state, and
what they are made of.

They are opened, followed and removed by `api.generations`, as in the platform. Each cuts and marks
what it holds in its own way, so that a mixture of two can be told.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import batched_lines
