"""The database under the registry: connections, tables, schema and paging."""
