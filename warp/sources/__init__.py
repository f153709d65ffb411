"""Where changes come from. `base` is the contract, `registry` finds an implementation by its `type:`."""
