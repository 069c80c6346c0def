"""`python -m app.reconcile`: compute cash, positions and equity of each day once more, from the trades alone.

It shares no state with the simulation: what the two say has to agree to the won, or nothing is published.
"""

from __future__ import annotations

import sys

import pandas as pd

from app.places import EQUITY, PRICES, RECONCILED, RUN, TRADES, read_json, write_json
from app.prices import PricesUnfit, digest, load, wide
from app.simulation import positions

SHOWN_MAX = 5


def recomputed(trades: pd.DataFrame, closes: pd.DataFrame, capital_won: int) -> pd.DataFrame:
    """Cash, stocks and equity at each close."""
    value = trades["shares"] * trades["price"]
    signed = value.where(trades["side"] == "SELL", -value) - trades["cost"]
    cash = signed.groupby(trades["date"]).sum().reindex(closes.index, fill_value=0).cumsum() + capital_won
    shares = trades["shares"].where(trades["side"] == "BUY", -trades["shares"])
    moves = shares.groupby([trades["date"], trades["symbol"]]).sum().unstack(fill_value=0)
    held = moves.reindex(index=closes.index, columns=closes.columns, fill_value=0).fillna(0).cumsum()
    stocks = (held * closes).sum(axis=1)
    found = pd.DataFrame({"date": closes.index, "cash": cash.to_numpy(), "stocks": stocks.to_numpy()})
    found["equity"] = found["cash"] + found["stocks"]
    return found.astype({"cash": "int64", "stocks": "int64", "equity": "int64"})


def differences(told: pd.DataFrame, found: pd.DataFrame) -> list[str]:
    """The days on which the two do not agree."""
    if len(told) != len(found) or list(told["date"]) != list(found["date"]):
        return [f"{len(told)} days were told and {len(found)} found"]
    names = ["cash", "stocks", "equity"]
    wrong = (told[names].to_numpy() != found[names].to_numpy()).any(axis=1)
    return [f"{day:%Y-%m-%d}" for day in told.loc[wrong, "date"]]


def main() -> int:
    """Write what was found; the exit code is 1 where it does not agree."""
    run = read_json(RUN, "run_backtest")
    try:
        prices = load(PRICES)
        trades, told = pd.read_parquet(TRADES), pd.read_parquet(EQUITY)
    except (PricesUnfit, OSError, ValueError) as error:
        sys.stderr.write(f"reconcile: {error}\n")
        return 1
    if digest(PRICES) != run["prices_sha256"]:
        sys.stderr.write("reconcile: the prices are not those of the backtest (next: python -m app.run_backtest)\n")
        return 1
    wrong = differences(told, recomputed(trades, wide(prices, "close"), int(run["params"]["capital_won"])))
    held = positions(trades)
    if any(count < 0 for count in held.values()) or (told["cash"] < 0).any():
        wrong.append("more was sold than held, or more spent than there was")
    write_json(
        RECONCILED, {"days": len(told), "mismatches": wrong, "positions": held, "prices_sha256": run["prices_sha256"]}
    )
    sys.stdout.write(f"reconcile  {len(told)} days, {len(wrong)} do not agree\n")
    if wrong:
        sys.stderr.write(f"reconcile: {', '.join(wrong[:SHOWN_MAX])}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
