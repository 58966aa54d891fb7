-- What readers of moving_averages should know: averages of a time are sampled or incomplete, until a repair proved them.
CREATE TABLE IF NOT EXISTS data_notices (
  id BIGINT NOT NULL AUTO_INCREMENT,
  kind VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  symbols VARCHAR(2000) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
  valid_from DATETIME(3) NOT NULL,
  valid_until DATETIME(3) NULL,
  detail TEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  incident_id VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NULL,
  announced_at DATETIME(3) NOT NULL,
  repaired_at DATETIME(3) NULL,
  PRIMARY KEY (id),
  KEY by_repaired_at (repaired_at),
  KEY by_incident_id (incident_id)
) ENGINE = InnoDB;
