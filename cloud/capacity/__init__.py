"""What a city asks of the cloud and what that costs. Pure: the stacks, the tests and `simulator plan` compute with it."""
