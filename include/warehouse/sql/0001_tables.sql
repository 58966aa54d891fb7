-- Exact sums per symbol and minute of event time. Everything longer is summed from these.
CREATE TABLE IF NOT EXISTS trade_minutes (
  symbol VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  minute_start DATETIME(3) NOT NULL,
  price_sum DECIMAL(38,8) NOT NULL,
  quote_sum DECIMAL(38,16) NOT NULL,
  volume DECIMAL(38,8) NOT NULL,
  trade_count BIGINT NOT NULL,
  first_trade_id BIGINT NOT NULL,
  last_trade_id BIGINT NOT NULL,
  last_price DECIMAL(18,8) NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (symbol, minute_start)
) ENGINE = InnoDB;

-- Which trade ids are in the sums: disjoint, non-adjacent ranges, both ends included.
CREATE TABLE IF NOT EXISTS trade_coverage (
  symbol VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  first_trade_id BIGINT NOT NULL,
  last_trade_id BIGINT NOT NULL,
  PRIMARY KEY (symbol, first_trade_id),
  KEY by_last_trade_id (symbol, last_trade_id)
) ENGINE = InnoDB;

-- The product: one row per symbol, window length and window start.
CREATE TABLE IF NOT EXISTS moving_averages (
  symbol VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  window_minutes SMALLINT NOT NULL,
  window_start DATETIME(3) NOT NULL,
  window_end DATETIME(3) NOT NULL,
  sma DECIMAL(18,8) NOT NULL,
  vwap DECIMAL(18,8) NOT NULL,
  trade_count BIGINT NOT NULL,
  volume DECIMAL(38,8) NOT NULL,
  first_trade_id BIGINT NOT NULL,
  last_trade_id BIGINT NOT NULL,
  last_price DECIMAL(18,8) NOT NULL,
  is_final BOOLEAN NOT NULL,
  updated_at DATETIME(3) NOT NULL,
  PRIMARY KEY (symbol, window_minutes, window_start),
  KEY by_updated_at (updated_at),
  KEY by_window_end (window_end),
  KEY by_finality (is_final, window_end)
) ENGINE = InnoDB;

-- One row per committed micro-batch, written in the batch's own transaction. end_offsets and newest_event_time are
-- cumulative: the newest row says how far every partition is in the sums.
CREATE TABLE IF NOT EXISTS batch_ledger (
  sequence BIGINT NOT NULL AUTO_INCREMENT,
  query_id CHAR(36) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  batch_id BIGINT NOT NULL,
  topic VARCHAR(249) NOT NULL,
  topic_id VARCHAR(40) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  start_offsets TEXT NOT NULL,
  end_offsets TEXT NOT NULL,
  input_rows BIGINT NOT NULL,
  invalid_rows BIGINT NOT NULL,
  duplicate_rows BIGINT NOT NULL,
  late_rows BIGINT NOT NULL,
  window_rows BIGINT NOT NULL,
  late_corrections BIGINT NOT NULL,
  newest_event_time DATETIME(3) NULL,
  checksum CHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  committed_at DATETIME(3) NOT NULL,
  PRIMARY KEY (query_id, batch_id),
  UNIQUE KEY by_sequence (sequence),
  KEY by_committed_at (committed_at)
) ENGINE = InnoDB;

-- Signs of life of the processes that write here.
CREATE TABLE IF NOT EXISTS heartbeats (
  service VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  beat_at DATETIME(3) NOT NULL,
  started_at DATETIME(3) NOT NULL,
  pid INT NOT NULL,
  PRIMARY KEY (service)
) ENGINE = InnoDB;
