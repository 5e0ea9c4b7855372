-- Level of service of the freeways by hour of day: the share of segment-hours at each level, A (free) to F (jammed).
--
-- Density in vehicles per km and lane is flow over space mean speed; the bounds are those of the Highway Capacity Manual
-- for basic freeway segments (11, 18, 26, 35 and 45 per mile), as in roadside.core.congestion. All vehicles count as
-- passenger cars. Hours without vehicles have no level and are left out.
--
-- visuals: level-of-service
-- refresh: daily
--
-- hour_of_day     int     key    0 to 23    hour of the city's day
-- level           text    key    A to F     level of service
-- segment_h       double  sum    segment-h  time at that level
-- share_of_hour   double  sum    share      of all time in that hour of the day
WITH by_segment AS (
    SELECT
        hour(CAST(
            (TIMESTAMP '1970-01-01 00:00:00' + hourly.hour_start_ms / 1000 * INTERVAL '1' SECOND)
            AT TIME ZONE 'UTC' AT TIME ZONE 'Etc/UTC' AS TIMESTAMP
        )) AS hour_of_day,
        hourly.covered_ms,
        hourly.vehicle_count * 1e0 / nullif(hourly.observed_ms, 0) * hourly.pace_sum_ms_per_km
        / nullif(hourly.vehicle_count - hourly.vehicles_without_speed, 0) AS density_per_km
    FROM hourly
    JOIN segments ON segments.segment = hourly.segment
    WHERE segments.road_class = 'freeway'
        AND hourly.dt >= CAST(CAST(current_date - INTERVAL '35' DAY AS DATE) AS VARCHAR)
),

graded AS (
    SELECT
        hour_of_day,
        covered_ms,
        CASE
            WHEN density_per_km <= 6.8e0 THEN 'A'
            WHEN density_per_km <= 11.2e0 THEN 'B'
            WHEN density_per_km <= 16.2e0 THEN 'C'
            WHEN density_per_km <= 21.7e0 THEN 'D'
            WHEN density_per_km <= 28e0 THEN 'E'
            ELSE 'F'
        END AS level
    FROM by_segment
    WHERE density_per_km IS NOT NULL
)
SELECT
    hour_of_day,
    level,
    sum(covered_ms) / 3.6e6 AS segment_h,
    sum(covered_ms) * 1e0 / sum(sum(covered_ms)) OVER (PARTITION BY hour_of_day) AS share_of_hour
FROM graded
GROUP BY hour_of_day, level
