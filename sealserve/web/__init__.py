"""The page on which people decide held versions: HTML made on the server, over the gRPC of `sealserve serve`.

A client like any other: whose token may see and do what is decided there, never here.
"""
