"""Records and protobuf messages: one converter per noun, with names, statuses and channels."""
