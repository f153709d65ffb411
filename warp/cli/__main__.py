"""`python -m warp.cli`: the `cartridge-warp` command where its script is not at hand."""

from warp.cli.main import main

main(prog_name="cartridge-warp")
