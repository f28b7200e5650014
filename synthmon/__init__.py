"""synthmon: scheduled, correlated, safe end-to-end journeys through systems made of many small async parts."""

__version__ = "0.1.0"
