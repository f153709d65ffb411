"""What cartridge-warp knows about its own progress, kept in PostgreSQL beside the rows it speaks of."""
