"""`python -m app.run_backtest`: carry the strategy out over all prices that there are."""

from __future__ import annotations

import sys
from dataclasses import asdict

from app.places import EQUITY, PRICES, RECONCILED, RUN, TRADES, WORK, write_json
from app.prices import PricesUnfit, digest, load, wide
from app.simulation import simulate
from app.strategy import Params, wanted


def main() -> int:
    """Write trades, equity and what they were made from; the exit code is 1 where the prices are not fit."""
    params = Params()
    try:
        prices = load(PRICES)
    except PricesUnfit as error:
        sys.stderr.write(f"run_backtest: {error}\n")
        return 1
    opens, closes = wide(prices, "open"), wide(prices, "close")
    done = simulate(opens, closes, wanted(closes, params), params)
    WORK.mkdir(exist_ok=True)
    # What was reconciled was another run.
    RECONCILED.unlink(missing_ok=True)
    done.trades.to_parquet(TRADES, index=False)
    done.equity.to_parquet(EQUITY, index=False)
    write_json(RUN, {"params": asdict(params), "prices_sha256": digest(PRICES), "rows": len(prices)})
    last = done.equity.iloc[-1]
    sys.stdout.write(
        f"backtest   {len(done.equity)} days to {last['date']:%Y-%m-%d}, {len(done.trades)} trades, "
        f"equity {int(last['equity']):,} won\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
