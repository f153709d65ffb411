"""Where changes go. `base` is the contract, `registry` finds an implementation by its `type:`."""
