-- Sensors in fault by day and kind, as a share of all sensors' time.
--
-- A sensor's fault at the end of an interval of some minutes counts for the whole of it.
--
-- visuals: faults
-- refresh: daily
--
-- day            timestamp  key  UTC day   start of the day
-- fault          text       key  name      silent, dead, stuck_on, constant, chatter, occupancy_scale, undercount
-- faulty_h       double     sum  sensor-h  time in that fault
-- faulty_share   double     sum  share     of the time that all sensors were told of on that day
WITH intervals AS (
    SELECT DISTINCT gateway, epoch_ms, interval_start_ms, interval_ms, sensor, fault
    FROM sensor_intervals
    WHERE dt >= CAST(CAST(current_date - INTERVAL '14' DAY AS DATE) AS VARCHAR)
),

by_fault AS (
    SELECT
        date_trunc(
            'day', TIMESTAMP '1970-01-01 00:00:00' + interval_start_ms / 1000 * INTERVAL '1' SECOND
        ) AS day,
        fault,
        sum(interval_ms) AS fault_ms
    FROM intervals
    GROUP BY 1, 2
),

shares AS (
    SELECT
        day,
        fault,
        fault_ms / 3.6e6 AS faulty_h,
        fault_ms * 1e0 / sum(fault_ms) OVER (PARTITION BY day) AS faulty_share
    FROM by_fault
)
SELECT day, fault, faulty_h, faulty_share
FROM shares
WHERE fault IS NOT NULL
