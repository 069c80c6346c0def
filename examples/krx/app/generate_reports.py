"""`python -m app.generate_reports`: what the operating host gets, as two JSON files."""

from __future__ import annotations

import math
import sys

import pandas as pd

from app.places import EQUITY, LATEST, PRICES, RECONCILED, RUN, TRADES, read_json, write_json
from app.prices import PricesUnfit, digest, load, wide
from app.simulation import shares_wanted
from app.strategy import Params, wanted

DAYS_A_YEAR = 252
DRAWDOWN_ALERT = 0.15


def figures(equity: pd.DataFrame, trades: pd.DataFrame) -> dict[str, object]:
    """How it went: ratios with four digits, money in whole won."""
    worth = equity["equity"].astype("float64")
    daily = worth.pct_change().dropna()
    years = len(daily) / DAYS_A_YEAR
    spread = float(daily.std())
    return {
        "equity_won": int(equity["equity"].iloc[-1]),
        "cagr": round(float((worth.iloc[-1] / worth.iloc[0]) ** (1 / years) - 1), 4),
        "drawdown_max": round(float((1 - worth / worth.cummax()).max()), 4),
        "drawdown_now": round(float(1 - worth.iloc[-1] / worth.max()), 4),
        "sharpe": round(float(daily.mean()) / spread * math.sqrt(DAYS_A_YEAR), 4) if spread else None,
        "trades": len(trades),
        "costs_won": int(trades["cost"].sum()),
    }


def orders(held: dict[str, int], target: dict[str, int]) -> list[dict[str, object]]:
    """What has to be done to get from what is held to what is wanted; sales first."""
    changes = {one: target.get(one, 0) - held.get(one, 0) for one in sorted({*held, *target})}
    listed = [
        {"symbol": one, "side": "BUY" if change > 0 else "SELL", "shares": abs(change)}
        for one, change in changes.items()
        if change
    ]
    return sorted(listed, key=lambda one: (one["side"] == "BUY", str(one["symbol"])))


def main() -> int:
    """Write both reports; the exit code is 1 where what they need is not there or does not agree."""
    run, reconciled = read_json(RUN, "run_backtest"), read_json(RECONCILED, "reconcile")
    same = run["prices_sha256"] == reconciled["prices_sha256"] == digest(PRICES)
    if reconciled["mismatches"] or not same:
        sys.stderr.write("generate_reports: what was reconciled is not this run, or does not agree\n")
        return 1
    try:
        prices, params = load(PRICES), Params(**run["params"])
    except (PricesUnfit, TypeError) as error:
        sys.stderr.write(f"generate_reports: {error}\n")
        return 1
    equity, trades = pd.read_parquet(EQUITY), pd.read_parquet(TRADES)
    closes = wide(prices, "close")
    day = closes.index[-1]
    symbols, held = wanted(closes, params)[day], dict(reconciled["positions"])
    told = figures(equity, trades)
    listed: list[dict[str, object]] = []
    if set(symbols) != set(held):
        last = {str(symbol): int(price) for symbol, price in closes.loc[day].items()}
        listed = orders(held, shares_wanted(symbols, int(equity["equity"].iloc[-1]), last, params))
    alerts = []
    if float(str(told["drawdown_now"])) > DRAWDOWN_ALERT:
        alerts.append({"code": "DRAWDOWN", "text": f"the equity is {told['drawdown_now']:.1%} below its highest"})
    common = {"asof": f"{day:%Y-%m-%d}", "prices_sha256": run["prices_sha256"], "rows": run["rows"]}
    write_json(LATEST / "backtest_summary.json", {"schema": "backtest_summary_v1", **common, **told})
    write_json(
        LATEST / "recon_summary.json",
        {
            "schema": "recon_summary_v1",
            **common,
            "decision": "REBALANCE" if listed else "HOLD",
            "orders": listed,
            "positions": held,
            "alerts": alerts,
            "days": reconciled["days"],
            "mismatches": 0,
        },
    )
    sys.stdout.write(
        f"reports    {day:%Y-%m-%d}: {'REBALANCE' if listed else 'HOLD'}, {len(listed)} orders, in {LATEST.name}/\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
