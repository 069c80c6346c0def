"""Daily prices, read strictly: a backtest over a hole, a double row or an unadjusted split is worth nothing."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pandas as pd

COLUMNS = ("date", "symbol", "open", "high", "low", "close", "volume")
# A day on this market moves a price by 30 percent at most: what moves more was split, or is wrong.
DAY_LIMIT = 0.305


class PricesUnfit(ValueError):
    """The prices cannot be used; the message names symbol and day."""


def load(path: Path) -> pd.DataFrame:
    """The prices of a parquet file, by day and symbol, proven fit.

    Raises:
        PricesUnfit: they are not.
    """
    try:
        found = pd.read_parquet(path)
    except FileNotFoundError:
        raise PricesUnfit(f"{path} is not there (next: python -m app.make_prices)") from None
    except (OSError, ValueError) as error:
        raise PricesUnfit(f"{path} is no parquet file: {error}") from None
    return proven(found)


def proven(prices: pd.DataFrame) -> pd.DataFrame:
    """The same prices in the order of day and symbol.

    Raises:
        PricesUnfit: a column is missing, a value cannot be, a day is missing for a symbol, or stands twice.
    """
    missing = [name for name in COLUMNS if name not in prices.columns]
    if missing:
        raise PricesUnfit(f"columns are missing: {', '.join(missing)}")
    found = prices.loc[:, list(COLUMNS)].sort_values(["date", "symbol"], ignore_index=True)
    if found.empty:
        raise PricesUnfit("there is no price at all")
    _first(found, found.isna().any(axis=1), "a value is missing")
    _first(found, found.duplicated(["date", "symbol"]), "there are two rows")
    money = found[["open", "high", "low", "close"]]
    _first(found, (money <= 0).any(axis=1) | (found["volume"] < 0), "a price is not above 0, or a volume below it")
    out = (money.max(axis=1) > found["high"]) | (money.min(axis=1) < found["low"])
    _first(found, out, "open or close lies outside of low and high")
    counts = found.groupby("symbol")["date"].nunique()
    days = found["date"].nunique()
    if (counts != days).any():
        symbol = str(counts[counts != days].index[0])
        there = set(found.loc[found["symbol"] == symbol, "date"])
        day = min(set(found["date"]) - there)
        raise PricesUnfit(f"{symbol} has no price on {day:%Y-%m-%d}, and others have")
    moved = found.groupby("symbol")["close"].pct_change().abs() > DAY_LIMIT
    _first(found, moved, "the price moved by more than 30 percent in a day: adjust for the split, or correct it")
    return found


def _first(prices: pd.DataFrame, wrong: pd.Series, what: str) -> None:
    if wrong.any():
        row = prices.loc[wrong.idxmax()]
        raise PricesUnfit(f"{row['symbol']} on {row['date']}: {what}")


def wide(prices: pd.DataFrame, column: str) -> pd.DataFrame:
    """One column as a table of days by symbols."""
    return prices.pivot(index="date", columns="symbol", values=column).sort_index()


def digest(path: Path) -> str:
    """SHA-256 of the file, so that a report says what it was made from."""
    return hashlib.sha256(path.read_bytes()).hexdigest()
