"""A Redis of its own for each started instance of the target: empty, on loopback, without persistence.

Refuses: to let the target write to the user's Redis. What can't be redirected is an error that says what to do, where
a server answers there; only `shared_redis = true` in perfcrew.toml allows the user's own.
"""
