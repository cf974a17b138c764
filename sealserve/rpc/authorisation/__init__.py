"""Who may call what: by the token before anything of a request is read, and by the tenant that the request names."""
