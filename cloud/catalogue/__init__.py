"""What the city's segments are: read from a CSV, checked whole, and brought to where the cloud looks it up."""
