"""What a city asks of the cloud, and what that costs. Pure: stacks, tests and `simulator plan` compute with it."""
