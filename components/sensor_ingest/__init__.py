"""city.roadside.SensorIngest: takes readings from a site's devices, whatever they speak, and packs them into frames."""
