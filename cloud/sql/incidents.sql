-- The incident log of the last four weeks: when each was suspected, confirmed and cleared, and how long that took.
--
-- visuals: incident-log, incidents-by-district
-- refresh: hourly
--
-- suspected_at      timestamp  key    city's time  when it was first suspected, or known
-- segment_id        text       key    name         the segment upstream of it
-- district          text       key    name         where that lies
-- status            text       key    name         suspected, confirmed or cleared
-- severity          text       key    name         highest told: info, minor, major, critical
-- headline          text       key    text         what was told last
-- confirm_min       double     value  min          from suspicion to confirmation; none while there is none
-- duration_min      double     value  min          from suspicion to clearance; none while it lasts
-- lowest_speed      double     value  km/h         slowest upstream speed told
-- incidents         int        sum    incidents    1, to be counted
WITH told AS (
    SELECT
        segment_number,
        started_ms,
        min(CASE WHEN kind = 'IncidentConfirmed' THEN occurred_ms END) AS confirmed_ms,
        max(CASE WHEN kind = 'IncidentCleared' THEN occurred_ms END) AS cleared_ms,
        max_by(segment_id, occurred_ms) AS segment_id,
        max_by(
            severity, CASE severity WHEN 'critical' THEN 4 WHEN 'major' THEN 3 WHEN 'minor' THEN 2 ELSE 1 END
        ) AS severity,
        max_by(headline, occurred_ms) AS headline,
        min(average_speed_kmh) AS lowest_speed
    FROM events
    WHERE kind IN ('IncidentSuspected', 'IncidentConfirmed', 'IncidentCleared')
        AND dt >= CAST(CAST(current_date - INTERVAL '28' DAY AS DATE) AS VARCHAR)
    GROUP BY segment_number, started_ms
)
SELECT
    CAST(
        (TIMESTAMP '1970-01-01 00:00:00' + told.started_ms / 1000 * INTERVAL '1' SECOND)
        AT TIME ZONE 'UTC' AT TIME ZONE 'Etc/UTC' AS TIMESTAMP
    ) AS suspected_at,
    told.segment_id,
    segments.district,
    CASE
        WHEN told.cleared_ms IS NOT NULL THEN 'cleared'
        WHEN told.confirmed_ms IS NOT NULL THEN 'confirmed'
        ELSE 'suspected'
    END AS status,
    told.severity,
    told.headline,
    (told.confirmed_ms - told.started_ms) / 6e4 AS confirm_min,
    (told.cleared_ms - told.started_ms) / 6e4 AS duration_min,
    told.lowest_speed,
    1 AS incidents
FROM told
LEFT JOIN segments ON segments.segment = told.segment_number
