"""city.roadside.SensorEmulator: false readings on purpose, to commission a gateway before its sensors are there."""
