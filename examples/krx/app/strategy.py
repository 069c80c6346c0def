"""What to hold: of all symbols the two that rose most over sixty days, if they rose at all. Decided once a week.

Pure functions over tables of days by symbols. What is decided on a day knows that day's close and nothing later, and is
carried out at the open of the next day.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd


@dataclass(frozen=True, kw_only=True)
class Params:
    """What can be tuned. Rates are shares of a trade's value."""

    lookback_days: int = 60
    holdings: int = 2
    capital_won: int = 100_000_000
    fee_rate: float = 0.00015
    tax_on_sales_rate: float = 0.0018
    slippage_rate: float = 0.0005


def momentum(close: pd.DataFrame, params: Params) -> pd.DataFrame:
    """How much each symbol rose over the lookback, as a ratio; NaN while there are not enough days."""
    return close.pct_change(params.lookback_days)


def decision_days(close: pd.DataFrame) -> pd.DatetimeIndex:
    """The last trading day of each week that is over, and the last day of all."""
    days = pd.DatetimeIndex(close.index)
    week = days.isocalendar().week.to_numpy()
    ends = [day for number, day in enumerate(days) if number + 1 == len(days) or week[number] != week[number + 1]]
    return pd.DatetimeIndex(ends)


def wanted(close: pd.DataFrame, params: Params) -> dict[pd.Timestamp, tuple[str, ...]]:
    """By day of decision the symbols to hold from the next open on, in the order of their names."""
    risen = momentum(close, params)
    found: dict[pd.Timestamp, tuple[str, ...]] = {}
    for day in decision_days(close):
        row = risen.loc[day]
        # Equal risers are told apart by their names, so that the same prices give the same choice everywhere.
        ranked = sorted((-value, str(symbol)) for symbol, value in row.items() if value > 0)
        found[day] = tuple(sorted(symbol for _, symbol in ranked[: params.holdings]))
    return found
