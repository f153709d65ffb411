"""Throwaway MongoDB, Redis and PostgreSQL servers for the demo and the tests, from packages of the package index alone.

Owns starting, waiting for and ending them; what is done with them is the business of others. Nothing here is used
when connection strings are given.
"""

from warp.embedded.postgres import PostgresServer
from warp.embedded.process import StartFailed
from warp.embedded.redis import RedisServer
from warp.embedded.replica_set import MongoReplicaSet
from warp.embedded.servers import EmbeddedServers

__all__ = ["EmbeddedServers", "MongoReplicaSet", "PostgresServer", "RedisServer", "StartFailed"]
