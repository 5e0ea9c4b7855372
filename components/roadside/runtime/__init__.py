"""What every component needs to run on a gateway: ports, the Greengrass adapter, the outbox, the uplink, settings."""
