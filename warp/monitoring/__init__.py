"""What cartridge-warp says about itself: logs, metrics, health."""
