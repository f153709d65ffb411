"""Measures first load, streaming, latency and memory on embedded servers, next to the bare floor in the same run."""
