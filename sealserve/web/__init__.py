"""The approvals page: server-rendered HTML, backed by the gRPC API of `sealserve serve`.

The page is an ordinary client. Permissions are checked by the server, never here.
"""
