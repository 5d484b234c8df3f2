"""Money as whole numbers: no sum of costs ever differs from the costs that it is made of."""

from typing import NewType

Micro = NewType("Micro", int)
"""Millionths of the unit of account, such as of a US dollar."""

MICROS = 1_000_000
"""Micro-currency in one unit."""

FREE = Micro(0)
