-- The 20 segments that cost most time on the latest day: delay, congestion, and how fast their vehicles went.
--
-- The percentiles are those of all vehicles of the day, from the rollup's merged sketch (1 %); delay is that of the
-- day's mean pace against free flow, so it is at most what the hours add up to.
--
-- visuals: worst-segments
-- refresh: hourly
--
-- rank              int     key    1 to 20    1 costs most
-- day               text    key    UTC day    yyyy-mm-dd
-- segment_id        text    key    name       segment
-- district          text    key    name       where it lies
-- road_class        text    key    name       freeway, ramp or arterial
-- delay_h           double  sum    vehicle-h  time lost against free flow
-- congested_share   double  value  share      of the time that windows cover
-- mean_speed        double  value  km/h       space mean
-- p15_speed         double  value  km/h       15 % of the vehicles were slower
-- p50_speed         double  value  km/h       half of the vehicles were slower
-- p85_speed         double  value  km/h       85 % of the vehicles were slower
-- free_flow_speed   double  value  km/h       when nothing hinders
WITH recent AS (
    SELECT *
    FROM daily
    WHERE dt >= CAST(CAST(current_date - INTERVAL '14' DAY AS DATE) AS VARCHAR)
),

latest AS (
    SELECT
        recent.dt AS day,
        segments.segment_id,
        segments.district,
        segments.road_class,
        recent.vehicle_count * 1e0 / nullif(recent.observed_ms, 0)
        * recent.covered_ms * segments.lanes * segments.length_m / 1e3
        * greatest(
            recent.pace_sum_ms_per_km / 3.6e6 / nullif(recent.vehicle_count - recent.vehicles_without_speed, 0)
            - 1e0 / segments.free_flow_kmh, 0e0
        ) AS delay_h,
        recent.congested_ms * 1e0 / nullif(recent.covered_ms, 0) AS congested_share,
        recent.average_speed_kmh AS mean_speed,
        recent.p15_kmh AS p15_speed,
        recent.p50_kmh AS p50_speed,
        recent.p85_kmh AS p85_speed,
        segments.free_flow_kmh AS free_flow_speed
    FROM recent
    JOIN segments ON segments.segment = recent.segment
    WHERE recent.dt = (SELECT max(dt) FROM recent)
        AND recent.vehicle_count > recent.vehicles_without_speed
        AND recent.observed_ms > 0
),

ranked AS (
    SELECT row_number() OVER (ORDER BY delay_h DESC, segment_id) AS rank, latest.*
    FROM latest
)
SELECT
    rank,
    day,
    segment_id,
    district,
    road_class,
    delay_h,
    congested_share,
    mean_speed,
    p15_speed,
    p50_speed,
    p85_speed,
    free_flow_speed
FROM ranked
WHERE rank <= 20
