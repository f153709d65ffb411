"""The demonstration: embedded servers, a made-up shop or files of one's own, a writer, and the real processes.

It knows MongoDB and PostgreSQL by their own drivers, as somebody who looks on from outside does.
"""
