"""A small producer: prices in, a backtest, its reconciliation and two reports out. Replace it by your own."""
