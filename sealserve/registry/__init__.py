"""The meeting point: what serve and learn both know, in SQL and an artifact store."""
