"""Roadside's shared library: the contract, the numerical core, the traffic model and the gateway runtime."""
