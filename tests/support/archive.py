"""Recorded trades in the layout of the exchange's public archive."""

from __future__ import annotations

from pathlib import Path

from include.settings import PROJECT_ROOT

NAME = "BTCUSDT-trades-2021-01-08.csv"
_RECORDED = PROJECT_ROOT.parent / "shared" / "data" / NAME  # 2,001 consecutive real trades, where they are at hand
_FIRST_ID, _FIRST_MS, _TRADES = 553_287_559, 1_610_064_000_278, 2_001


def archive_file(folder: Path) -> Path:
    """The recorded trades, or as many made-up ones of the same day in the same layout where they are not at hand."""
    if _RECORDED.is_file():
        return _RECORDED
    rows = ["id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"]
    for number in range(_TRADES):
        price, quantity = 3_943_200_000_000 + number * 7_919 % 9_000_000_000, 1 + number * 104_729 % 50_000_000
        texts = [f"{units // 10**8}.{units % 10**8:08d}" for units in (price, quantity, price * quantity // 10**8)]
        rows.append(f"{_FIRST_ID + number},{','.join(texts)},{_FIRST_MS + number * 23},{bool(number % 3)},True")
    file = folder / NAME
    file.write_text("\n".join(rows) + "\n")
    return file
