-- What the data lacks, by day and gateway: time that no window covers, and readings that came late, twice or not at all.
--
-- A segment is expected for as long as the best-covered segment of the network was seen in that hour, so an hour that is
-- not over counts for what has passed of it, and a gateway that is silent all day shows with all of its segments.
-- Windows that a gateway delivers after an outage repair the past: the share falls when they arrive.
--
-- visuals: missing, worst-gateways
-- refresh: daily
--
-- day                  timestamp  key    UTC day    start of the day
-- gateway              text       key    name       who should have told
-- district             text       key    name       where it stands
-- expected_h           double     sum    segment-h  time that windows should cover
-- missing_h            double     sum    segment-h  time of it that none covers
-- readings             bigint     sum    readings   accepted
-- late_readings        bigint     sum    readings   accepted after their window had been sent, and so a correction
-- duplicate_readings   bigint     sum    readings   repeated, counted once
-- rejected_readings    bigint     sum    readings   refused for a value out of range
-- missing_share        double     ratio  share      missing_h / expected_h
-- late_share           double     ratio  share      late_readings / readings
WITH recent AS (
    SELECT *
    FROM hourly
    WHERE dt >= CAST(CAST(current_date - INTERVAL '14' DAY AS DATE) AS VARCHAR)
),

hours AS (
    SELECT hour_start_ms, least(max(covered_ms), 3600000) AS expected_ms
    FROM recent
    GROUP BY hour_start_ms
),

expected AS (
    SELECT hours.hour_start_ms, hours.expected_ms, segments.segment, segments.gateway, segments.district
    FROM hours
    CROSS JOIN segments
)
SELECT
    date_trunc(
        'day', TIMESTAMP '1970-01-01 00:00:00' + expected.hour_start_ms / 1000 * INTERVAL '1' SECOND
    ) AS day,
    expected.gateway,
    expected.district,
    sum(expected.expected_ms) / 3.6e6 AS expected_h,
    sum(greatest(expected.expected_ms - coalesce(recent.covered_ms, 0), 0)) / 3.6e6 AS missing_h,
    CAST(coalesce(sum(recent.readings_accepted), 0) AS BIGINT) AS readings,
    CAST(coalesce(sum(recent.readings_late), 0) AS BIGINT) AS late_readings,
    CAST(coalesce(sum(recent.readings_duplicate), 0) AS BIGINT) AS duplicate_readings,
    CAST(coalesce(sum(recent.readings_rejected), 0) AS BIGINT) AS rejected_readings
FROM expected
LEFT JOIN recent ON recent.hour_start_ms = expected.hour_start_ms AND recent.segment = expected.segment
GROUP BY 1, 2, 3
