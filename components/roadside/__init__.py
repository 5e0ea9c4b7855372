"""Roadside's shared library: the contract, the numerical core, the traffic model and the gateway runtime."""

VERSION = "0.1.0"  # of every component; a test holds the project, the recipes and the changelog to it
