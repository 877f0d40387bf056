"""Measurements, as ratios of figures taken in one run: `make bench`."""
