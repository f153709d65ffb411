"""The front door: the `cartridge-warp` command. `main` is its entry point; each command has a module of its own."""

from warp.cli.main import main

__all__ = ["main"]
