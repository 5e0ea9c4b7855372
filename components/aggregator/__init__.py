"""city.roadside.Aggregator: turns a gateway's readings into windows and events and sees them to the cloud."""
