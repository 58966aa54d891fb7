"""The stand-in exchange: speaks Binance's REST and WebSocket market data on loopback, from one ledger of trades."""
