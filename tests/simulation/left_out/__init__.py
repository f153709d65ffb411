"""The rules of the protocol, each as a patch that leaves it out; the docstring says what goes on then."""
