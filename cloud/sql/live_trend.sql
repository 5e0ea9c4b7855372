-- The last hour in steps of five minutes: what drives, how fast, and how much of the network is congested.
--
-- Each window counts once, in its highest revision.
--
-- visuals: congestion-now
-- refresh: direct
--
-- step_start        timestamp  key    city's time  start of the five minutes in which the windows began
-- road_class        text       key    name         freeway, ramp or arterial
-- vehicle_km        double     sum    km           distance driven, where a speed was measured
-- travel_h          double     sum    vehicle-h    time that took
-- covered_h         double     sum    segment-h    time covered by windows
-- congested_h       double     sum    segment-h    time of those whose state was congested
-- mean_speed        double     ratio  km/h         vehicle_km / travel_h
-- congested_share   double     ratio  share        congested_h / covered_h
WITH clock AS (
    SELECT date_diff(
        'millisecond', TIMESTAMP '1970-01-01 00:00:00', CAST(current_timestamp AT TIME ZONE 'UTC' AS TIMESTAMP)
    ) AS now_ms
),

editions AS (
    SELECT
        segment_windows.*,
        row_number() OVER (
            PARTITION BY gateway, epoch_ms, window_start_ms, segment ORDER BY revision DESC, received_ms DESC
        ) AS edition
    FROM segment_windows
    CROSS JOIN clock
    WHERE dt >= CAST(CAST((current_timestamp AT TIME ZONE 'UTC') - INTERVAL '1' HOUR AS DATE) AS VARCHAR)
        AND window_start_ms >= clock.now_ms - 3600000
),

by_segment AS (
    SELECT
        editions.window_start_ms - mod(editions.window_start_ms, 300000) AS step_start_ms,
        segments.road_class,
        editions.window_ms,
        editions.congestion_state,
        editions.vehicle_count * 1e0 / nullif(editions.observed_ms, 0)
        * editions.window_ms * segments.lanes * segments.length_m / 1e3 AS vehicle_km,
        editions.pace_sum_ms_per_km / 3.6e6
        / nullif(editions.vehicle_count - editions.vehicles_without_speed, 0) AS pace_h_per_km
    FROM editions
    JOIN segments ON segments.segment = editions.segment
    WHERE editions.edition = 1
)
SELECT
    CAST(
        (TIMESTAMP '1970-01-01 00:00:00' + step_start_ms / 1000 * INTERVAL '1' SECOND)
        AT TIME ZONE 'UTC' AT TIME ZONE 'Etc/UTC' AS TIMESTAMP
    ) AS step_start,
    road_class,
    sum(CASE WHEN pace_h_per_km IS NOT NULL THEN vehicle_km END) AS vehicle_km,
    sum(vehicle_km * pace_h_per_km) AS travel_h,
    sum(window_ms) / 3.6e6 AS covered_h,
    sum(CASE WHEN congestion_state = 'congested' THEN window_ms ELSE 0 END) / 3.6e6 AS congested_h
FROM by_segment
GROUP BY 1, 2
