"""What would have come of it: whole shares, whole won, the open of the next day, fees, tax and slippage."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from app.strategy import Params


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """The trades, one row each, and the equity at each close."""

    trades: pd.DataFrame
    equity: pd.DataFrame


def cost_of(side: str, value_won: int, params: Params) -> int:
    """Fee, and tax where something is sold; rounded up to whole won."""
    rate = params.fee_rate + (params.tax_on_sales_rate if side == "SELL" else 0.0)
    return math.ceil(value_won * rate)


def filled_at(side: str, open_won: int, params: Params) -> int:
    """What is paid or got for one share: a little worse than the open."""
    if side == "BUY":
        return math.ceil(open_won * (1 + params.slippage_rate))
    return math.floor(open_won * (1 - params.slippage_rate))


def shares_wanted(
    symbols: tuple[str, ...], equity_won: int, opens: Mapping[str, int], params: Params
) -> dict[str, int]:
    """How many whole shares of each: equal parts of what there is, less what the costs may take."""
    part = equity_won // params.holdings
    price = {one: filled_at("BUY", opens[one], params) for one in symbols}
    return {one: math.floor(part / (price[one] * (1 + params.fee_rate))) for one in symbols}


@dataclass
class Account:
    """What there is while days go by: cash in won, shares by symbol, and every trade that was made."""

    params: Params
    cash: int
    held: dict[str, int]
    trades: list[dict[str, object]]

    def turn_into(self, symbols: tuple[str, ...], day: pd.Timestamp, opens: Mapping[str, int]) -> None:
        """Hold these symbols instead of those that are held; what is sold pays for what is bought."""
        worth = self.cash + sum(count * opens[one] for one, count in self.held.items())
        target = shares_wanted(symbols, worth, opens, self.params)
        changes = {one: target.get(one, 0) - self.held.get(one, 0) for one in sorted({*self.held, *target})}
        for symbol, change in changes.items():
            if change < 0:
                self._trade("SELL", symbol, -change, day, opens)
        for symbol, change in changes.items():
            if change > 0:
                self._trade("BUY", symbol, self._affordable(change, opens[symbol]), day, opens)

    def worth(self, closes: Mapping[str, int]) -> tuple[int, int]:
        """Cash, and what the shares are worth."""
        return self.cash, sum(count * closes[one] for one, count in self.held.items())

    def _affordable(self, count: int, open_won: int) -> int:
        price = filled_at("BUY", open_won, self.params)
        count = min(count, self.cash // price)
        while count and count * price + cost_of("BUY", count * price, self.params) > self.cash:
            count -= 1
        return count

    def _trade(self, side: str, symbol: str, count: int, day: pd.Timestamp, opens: Mapping[str, int]) -> None:
        if not count:
            return
        price = filled_at(side, opens[symbol], self.params)
        cost = cost_of(side, count * price, self.params)
        sign = 1 if side == "BUY" else -1
        self.cash -= sign * count * price + cost
        left = self.held.pop(symbol, 0) + sign * count
        if left:
            self.held[symbol] = left
        self.trades.append({"date": day, "symbol": symbol, "side": side, "shares": count, "price": price, "cost": cost})


def simulate(
    opens: pd.DataFrame, closes: pd.DataFrame, wanted: Mapping[pd.Timestamp, tuple[str, ...]], params: Params
) -> Simulated:
    """Carry every decision out at the next open."""
    account = Account(params=params, cash=params.capital_won, held={}, trades=[])
    equity: list[dict[str, object]] = []
    pending: tuple[str, ...] | None = None
    for day in closes.index:
        if pending is not None and set(pending) != set(account.held):
            account.turn_into(pending, day, _prices(opens, day))
        cash, stocks = account.worth(_prices(closes, day))
        equity.append({"date": day, "cash": cash, "stocks": stocks, "equity": cash + stocks})
        pending = wanted.get(day)
    columns = ["date", "symbol", "side", "shares", "price", "cost"]
    return Simulated(trades=pd.DataFrame(account.trades, columns=columns), equity=pd.DataFrame(equity))


def _prices(table: pd.DataFrame, day: pd.Timestamp) -> dict[str, int]:
    return {str(symbol): int(price) for symbol, price in table.loc[day].items()}


def positions(trades: pd.DataFrame) -> dict[str, int]:
    """The shares that are held after all trades."""
    signed = trades["shares"].where(trades["side"] == "BUY", -trades["shares"])
    held = signed.groupby(trades["symbol"]).sum()
    return {str(symbol): int(count) for symbol, count in held.items() if count}
