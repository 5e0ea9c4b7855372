-- The 20 sensors that were longest in fault in the last week, and how much of the time they measured at all.
--
-- visuals: worst-sensors
-- refresh: daily
--
-- rank            int     key    1 to 20        1 was longest in fault
-- sensor          int     key    city's number  sensor
-- gateway         text    key    name           whose sensor it is
-- district        text    key    name           where the gateway stands
-- fault           text    key    name           what was wrong last
-- faulty_h        double  sum    h              time in fault
-- faulty_share    double  value  share          of the time that its gateway told of it
-- coverage        double  value  share          of that time in which it measured occupancy
WITH intervals AS (
    SELECT DISTINCT gateway, epoch_ms, interval_start_ms, interval_ms, sensor, fault, observed_ms
    FROM sensor_intervals
    WHERE dt >= CAST(CAST(current_date - INTERVAL '7' DAY AS DATE) AS VARCHAR)
),

by_sensor AS (
    SELECT
        sensor,
        gateway,
        max_by(fault, CASE WHEN fault IS NOT NULL THEN interval_start_ms END) AS fault,
        sum(CASE WHEN fault IS NOT NULL THEN interval_ms ELSE 0 END) AS faulty_ms,
        sum(interval_ms) AS told_ms,
        sum(observed_ms) AS observed_ms
    FROM intervals
    GROUP BY sensor, gateway
),

places AS (
    SELECT gateway, min(district) AS district
    FROM segments
    GROUP BY gateway
),

ranked AS (
    SELECT
        row_number() OVER (ORDER BY by_sensor.faulty_ms DESC, by_sensor.sensor) AS rank,
        by_sensor.*,
        places.district
    FROM by_sensor
    LEFT JOIN places ON places.gateway = by_sensor.gateway
    WHERE by_sensor.faulty_ms > 0
)
SELECT
    rank,
    sensor,
    gateway,
    district,
    fault,
    faulty_ms / 3.6e6 AS faulty_h,
    faulty_ms * 1e0 / told_ms AS faulty_share,
    observed_ms * 1e0 / told_ms AS coverage
FROM ranked
WHERE rank <= 20
