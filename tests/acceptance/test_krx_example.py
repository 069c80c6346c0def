"""The example producer: its commands as its README shows them, what it refuses, and that it never knows a later price."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support import ROOT

EXAMPLE = ROOT / "examples" / "krx"
README = (EXAMPLE / "README.md").read_text(encoding="utf-8")
STEPS = ("run_backtest", "reconcile", "generate_reports")


@pytest.fixture(scope="session")
def python() -> str:
    """The interpreter of the environment that the example has for itself."""
    found = Path(f"{sys.prefix}-examples") / "bin" / "python"
    if found.exists():
        return str(found)
    if os.environ.get("CI"):
        pytest.fail("needs the example's environment: .ci/run has to make it", pytrace=False)
    pytest.skip("needs the example's environment (make setup-examples)")


@pytest.fixture
def producer(tmp_path: Path) -> Path:
    """A copy of the example in which nothing was ever run."""
    copy = tmp_path / "krx"
    shutil.copytree(EXAMPLE, copy, ignore=shutil.ignore_patterns("work", "reports", "__pycache__"))
    return copy


def run(python: str, where: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [python, *argv], cwd=where, env=environ, capture_output=True, text=True, timeout=120, check=False
    )


def results_of(where: Path) -> dict[str, bytes]:
    latest = where / "reports" / "phase_c" / "latest"
    return {path.name: path.read_bytes() for path in sorted(latest.iterdir())}


def test_the_readme_shows_what_the_commands_say(python: str, producer: Path) -> None:
    """Typed one after the other they print what the README shows, and a second time they write the very same bytes."""
    shown = re.search(r"```console\n(.*?)```", README, re.DOTALL)[1]
    typed = re.findall(r"^\$ python (-m app\.\w+)\n(.*)$", shown, re.MULTILINE)
    assert [command for command, _ in typed] == [f"-m app.{step}" for step in STEPS]
    for command, said in typed:
        done = run(python, producer, *command.split())
        assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, "")
    first = results_of(producer)
    told = json.loads(first["recon_summary.json"])
    assert (told["schema"], told["decision"], told["mismatches"]) == ("recon_summary_v1", "HOLD", 0)
    assert json.loads(first["backtest_summary.json"])["schema"] == "backtest_summary_v1"
    for step in STEPS:
        assert run(python, producer, "-m", f"app.{step}").returncode == 0
    assert results_of(producer) == first


# Each way in which prices are worth nothing: what is done to them, and what is said.
DAMAGE = {
    "a hole": ("f = f.drop(index=f.index[1234])", "has no price on"),
    "a double row": ("f = pandas.concat([f, f.iloc[[7]]])", "there are two rows"),
    "a split": ("f.loc[f.date >= f.date.iloc[3000], ['open', 'high', 'low', 'close']] //= 5", "adjust for the split"),
    "no value": ("f['close'] = f['close'].astype('float64'); f.loc[9, 'close'] = None", "a value is missing"),
    "a price of nothing": ("f.loc[9, 'low'] = 0", "not above 0"),
    "outside of the day": ("f.loc[9, 'high'] = 1", "outside of low and high"),
    "no column": ("f = f.drop(columns='volume')", "columns are missing: volume"),
    "no rows": ("f = f.iloc[:0]", "there is no price at all"),
}


def test_prices_that_are_not_fit_are_refused(python: str, producer: Path) -> None:
    """Each kind of damage is told in one line with symbol and day where there are any, and nothing is written."""
    prices = producer / "data" / "prices.parquet"
    lines = ["import pandas, sys", "from app.prices import PricesUnfit, proven"]
    for damage, _ in DAMAGE.values():
        lines += [
            f"f = pandas.read_parquet({str(prices)!r})",
            damage,
            "try: proven(f); print('taken')",
            "except PricesUnfit as e: print(e)",
        ]
    done = run(python, producer, "-c", "\n".join(lines))
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert len(said) == len(DAMAGE)
    for (kind, (_, expected)), line in zip(DAMAGE.items(), said, strict=True):
        assert expected in line, (kind, line)
    prices.write_bytes(prices.read_bytes()[:1000])
    cut = run(python, producer, "-m", "app.run_backtest")
    assert (cut.returncode, cut.stdout) == (1, "")
    assert re.fullmatch(r"run_backtest: .* is no parquet file: .*\n", cut.stderr)
    assert not (producer / "work" / "run.json").exists()


def test_steps_are_not_taken_out_of_turn(python: str, producer: Path) -> None:
    """A step whose forerunner has not run, or was not about these prices, ends with 1 and says what to type."""
    early = run(python, producer, "-m", "app.reconcile")
    assert (early.returncode, early.stderr) == (1, "run.json is not there (next: python -m app.run_backtest)\n")
    assert run(python, producer, "-m", "app.run_backtest").returncode == 0
    early = run(python, producer, "-m", "app.generate_reports")
    assert (early.returncode, early.stderr) == (1, "reconciled.json is not there (next: python -m app.reconcile)\n")
    code = "import pandas as p; f = p.read_parquet('data/prices.parquet'); f.volume += 1; f.to_parquet('data/prices.parquet')"
    assert run(python, producer, "-c", code).returncode == 0
    done = run(python, producer, "-m", "app.reconcile")
    assert (done.returncode, "the prices are not those of the backtest" in done.stderr) == (1, True)


def test_a_trade_that_was_changed_does_not_reconcile(python: str, producer: Path) -> None:
    """One share more in one trade is found by the second computation, and nothing is reported."""
    assert run(python, producer, "-m", "app.run_backtest").returncode == 0
    code = "import pandas as p; f = p.read_parquet('work/trades.parquet'); f.loc[40, 'shares'] += 1; f.to_parquet('work/trades.parquet')"
    assert run(python, producer, "-c", code).returncode == 0
    done = run(python, producer, "-m", "app.reconcile")
    assert (done.returncode, "0 do not agree" in done.stdout) == (1, False)
    assert run(python, producer, "-m", "app.generate_reports").returncode == 1
    assert not (producer / "reports").exists()


def test_a_decision_knows_no_later_price(python: str, producer: Path) -> None:
    """Whatever happens after a day, what was decided up to that day stays the same; and the prices can be made again."""
    code = """
import pandas
from app.make_prices import made
from app.places import PRICES
from app.prices import load, wide
from app.strategy import Params, wanted
prices = load(PRICES)
assert made().equals(prices)
closes = wide(prices, "close")
whole = wanted(closes, Params())
for cut in (100, 251, 400):
    other = closes.copy()
    other.iloc[cut:] = other.iloc[cut:][::-1].to_numpy() * 3
    again = wanted(other, Params())
    days = [day for day in whole if day < closes.index[cut]]
    assert days and all(again[day] == whole[day] for day in days), cut
    assert any(again[day] != whole[day] for day in whole if day >= closes.index[cut]), cut
"""
    done = run(python, producer, "-c", code)
    assert done.returncode == 0, done.stderr
