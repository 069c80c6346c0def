"""`python -m app.make_prices`: made-up prices of eight made-up symbols. Nothing here was ever traded."""

from __future__ import annotations

import sys

import numpy as np
import pandas as pd

from app.places import PRICES
from app.prices import proven

SEED = 20_260_123
DAYS = 500
# By symbol the price of the first day in won, the drift and the spread of a day's move.
SYMBOLS = {
    "SYN001": (52_000, 0.0006, 0.014),
    "SYN002": (118_500, 0.0002, 0.011),
    "SYN003": (8_340, -0.0004, 0.021),
    "SYN004": (231_000, 0.0009, 0.018),
    "SYN005": (17_650, 0.0000, 0.016),
    "SYN006": (74_200, -0.0002, 0.012),
    "SYN007": (39_900, 0.0004, 0.024),
    "SYN008": (305_500, 0.0003, 0.015),
}


def made() -> pd.DataFrame:
    """The prices, the same every time."""
    random = np.random.Generator(np.random.PCG64(SEED))
    days = pd.bdate_range("2024-02-19", periods=DAYS)
    tables = []
    for symbol, (first, drift, spread) in SYMBOLS.items():
        moves = np.clip(random.normal(drift, spread, DAYS), -0.25, 0.25)
        close = np.maximum(np.rint(first * np.cumprod(1 + moves)), 100).astype("int64")
        gaps = np.clip(random.normal(0, spread / 4, DAYS), -0.03, 0.03)
        opens = np.rint(np.concatenate(([first], close[:-1])) * (1 + gaps)).astype("int64")
        reach = np.abs(random.normal(0, spread / 3, DAYS))
        tables.append(
            pd.DataFrame(
                {
                    "date": days,
                    "symbol": symbol,
                    "open": opens,
                    "high": np.ceil(np.maximum(opens, close) * (1 + reach)).astype("int64"),
                    "low": np.floor(np.minimum(opens, close) * (1 - reach)).astype("int64"),
                    "close": close,
                    "volume": random.integers(10_000, 900_000, DAYS),
                }
            )
        )
    return proven(pd.concat(tables, ignore_index=True))


def main() -> int:
    """Write them."""
    PRICES.parent.mkdir(exist_ok=True)
    made().to_parquet(PRICES, index=False, compression="zstd")
    sys.stdout.write(f"prices     {DAYS} days of {len(SYMBOLS)} symbols\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
