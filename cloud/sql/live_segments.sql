-- Every segment as its newest window of the last hour has it, in the highest revision.
--
-- visuals: map
-- refresh: direct
--
-- segment_id         text       key    name         segment
-- district           text       key    name         where it lies
-- road_class         text       key    name         freeway, ramp or arterial
-- latitude           double     key    degrees      north
-- longitude          double     key    degrees      east
-- window_start       timestamp  key    city's time  start of the window
-- state              text       key    name         free, congested or unknown
-- age_s              double     value  s            time since the window's end
-- speed              double     value  km/h         space mean; none where no vehicle passed
-- free_flow_speed    double     value  km/h         when nothing hinders
-- congestion_level   int        value  0 to 100     100 stands still
WITH clock AS (
    SELECT date_diff(
        'millisecond', TIMESTAMP '1970-01-01 00:00:00', CAST(current_timestamp AT TIME ZONE 'UTC' AS TIMESTAMP)
    ) AS now_ms
),

ranked AS (
    SELECT
        segment_windows.*,
        clock.now_ms,
        row_number() OVER (
            PARTITION BY segment ORDER BY window_start_ms DESC, epoch_ms DESC, revision DESC, received_ms DESC
        ) AS age_rank
    FROM segment_windows
    CROSS JOIN clock
    WHERE dt >= CAST(CAST((current_timestamp AT TIME ZONE 'UTC') - INTERVAL '1' HOUR AS DATE) AS VARCHAR)
        AND window_start_ms >= clock.now_ms - 3600000
)
SELECT
    segments.segment_id,
    segments.district,
    segments.road_class,
    segments.latitude,
    segments.longitude,
    CAST(
        (TIMESTAMP '1970-01-01 00:00:00' + ranked.window_start_ms / 1000 * INTERVAL '1' SECOND)
        AT TIME ZONE 'UTC' AT TIME ZONE 'Etc/UTC' AS TIMESTAMP
    ) AS window_start,
    ranked.congestion_state AS state,
    (ranked.now_ms - ranked.window_start_ms - ranked.window_ms) / 1e3 AS age_s,
    3.6e6 * (ranked.vehicle_count - ranked.vehicles_without_speed) / nullif(ranked.pace_sum_ms_per_km, 0) AS speed,
    segments.free_flow_kmh AS free_flow_speed,
    ranked.congestion_level
FROM ranked
JOIN segments ON segments.segment = ranked.segment
WHERE ranked.age_rank = 1
