"""city.roadside.Monitor: tells the cloud how a gateway is, and looks after the other components on it."""
