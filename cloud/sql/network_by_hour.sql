-- The network by hour, district and class of road: how much drives, how fast, and what congestion costs.
--
-- A sensor watches one lane, so vehicles per observed time are the flow of a lane; times lanes and length that is the
-- distance driven. Time driven is distance times mean pace, from sums: no mean is averaged. Delay counts the hours and
-- segments that are slower than free flow. Time that no window covers is in no column.
--
-- visuals: distance, speed, congestion, delay, when-congested, delay-by-day
-- refresh: daily
--
-- hour_start          timestamp  key    city's time  start of the hour
-- weekday             int        key    1 to 7       Monday is 1
-- weekday_name        text       key    name         Mon to Sun
-- hour_of_day         int        key    0 to 23      hour of the city's day
-- district            text       key    name         where the segments lie
-- road_class          text       key    name         freeway, ramp or arterial
-- vehicle_km          double     sum    km           distance driven, where a speed was measured
-- travel_h            double     sum    vehicle-h    time that took
-- free_flow_h         double     sum    vehicle-h    time it would have taken at free flow
-- delay_h             double     sum    vehicle-h    time lost against free flow
-- covered_h           double     sum    segment-h    time covered by windows
-- congested_h         double     sum    segment-h    time of those whose state was congested
-- mean_speed          double     ratio  km/h         vehicle_km / travel_h
-- congested_share     double     ratio  share        congested_h / covered_h
-- travel_time_index   double     ratio  times        travel_h / free_flow_h
WITH by_segment AS (
    SELECT
        CAST(
            (TIMESTAMP '1970-01-01 00:00:00' + hourly.hour_start_ms / 1000 * INTERVAL '1' SECOND)
            AT TIME ZONE 'UTC' AT TIME ZONE 'Etc/UTC' AS TIMESTAMP
        ) AS hour_start,
        segments.district,
        segments.road_class,
        hourly.covered_ms,
        hourly.congested_ms,
        hourly.vehicle_count * 1e0 / nullif(hourly.observed_ms, 0)
        * hourly.covered_ms * segments.lanes * segments.length_m / 1e3 AS vehicle_km,
        hourly.pace_sum_ms_per_km / 3.6e6
        / nullif(hourly.vehicle_count - hourly.vehicles_without_speed, 0) AS pace_h_per_km,
        1e0 / segments.free_flow_kmh AS free_pace_h_per_km
    FROM hourly
    JOIN segments ON segments.segment = hourly.segment
    WHERE hourly.dt >= CAST(CAST(current_date - INTERVAL '35' DAY AS DATE) AS VARCHAR)
)
SELECT
    hour_start,
    date_diff('day', date_trunc('week', hour_start), hour_start) + 1 AS weekday,
    CASE date_diff('day', date_trunc('week', hour_start), hour_start)
        WHEN 0 THEN 'Mon' WHEN 1 THEN 'Tue' WHEN 2 THEN 'Wed' WHEN 3 THEN 'Thu' WHEN 4 THEN 'Fri' WHEN 5 THEN 'Sat'
        ELSE 'Sun'
    END AS weekday_name,
    hour(hour_start) AS hour_of_day,
    district,
    road_class,
    sum(CASE WHEN pace_h_per_km IS NOT NULL THEN vehicle_km END) AS vehicle_km,
    sum(vehicle_km * pace_h_per_km) AS travel_h,
    sum(CASE WHEN pace_h_per_km IS NOT NULL THEN vehicle_km * free_pace_h_per_km END) AS free_flow_h,
    sum(vehicle_km * greatest(pace_h_per_km - free_pace_h_per_km, 0e0)) AS delay_h,
    sum(covered_ms) / 3.6e6 AS covered_h,
    sum(congested_ms) / 3.6e6 AS congested_h
FROM by_segment
GROUP BY hour_start, district, road_class
