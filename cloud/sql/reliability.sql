-- How much time a trip needs, in multiples of free flow: on the whole, and to be in time in 19 of 20 hours.
--
-- The travel time index of a district and hour is time driven over time at free flow, both summed over its segments.
-- The planning time index is the 95th percentile of these hours (the smallest that 95 % of hours do not exceed).
-- Speeds are those of vehicles at the sensors, so this tells of roads and not of single trips.
--
-- visuals: reliability
-- refresh: daily
--
-- district              text    key    name   where the segments lie
-- travel_time_index     double  value  times  time driven over time at free flow, all hours
-- planning_time_index   double  value  times  what one of 20 hours exceeds
-- buffer_index          double  value  share  time to spare on top of the usual, to be in time in 19 of 20 hours
WITH by_segment AS (
    SELECT
        hourly.hour_start_ms,
        segments.district,
        hourly.vehicle_count * 1e0 / nullif(hourly.observed_ms, 0)
        * hourly.covered_ms * segments.lanes * segments.length_m / 1e3 AS vehicle_km,
        hourly.pace_sum_ms_per_km / 3.6e6
        / nullif(hourly.vehicle_count - hourly.vehicles_without_speed, 0) AS pace_h_per_km,
        1e0 / segments.free_flow_kmh AS free_pace_h_per_km
    FROM hourly
    JOIN segments ON segments.segment = hourly.segment
    WHERE hourly.dt >= CAST(CAST(current_date - INTERVAL '35' DAY AS DATE) AS VARCHAR)
),

by_hour AS (
    SELECT
        district,
        hour_start_ms,
        sum(vehicle_km * pace_h_per_km) AS travel_h,
        sum(vehicle_km * free_pace_h_per_km) AS free_flow_h
    FROM by_segment
    WHERE vehicle_km > 0 AND pace_h_per_km IS NOT NULL
    GROUP BY district, hour_start_ms
),

ranked AS (
    SELECT
        district,
        travel_h,
        free_flow_h,
        travel_h / free_flow_h AS travel_time_index,
        cume_dist() OVER (PARTITION BY district ORDER BY travel_h / free_flow_h) AS share_up_to
    FROM by_hour
),

indices AS (
    SELECT
        district,
        sum(travel_h) / sum(free_flow_h) AS travel_time_index,
        min(CASE WHEN share_up_to >= 0.95e0 THEN travel_time_index END) AS planning_time_index
    FROM ranked
    GROUP BY district
)
SELECT
    district,
    travel_time_index,
    planning_time_index,
    planning_time_index / travel_time_index - 1 AS buffer_index
FROM indices
