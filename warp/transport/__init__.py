"""How changes and wake-ups travel from the tailer to the workers: logs and RQ queues in Redis.

Everything here is a replayable buffer. Losing all of it, or getting an older state of it back, loses nothing.
"""
