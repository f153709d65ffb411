"""cartridge-warp: mirrors live MongoDB databases into PostgreSQL."""

__version__ = "0.1.0"
