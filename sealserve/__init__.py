"""sealserve keeps a language model up to date, per tenant, while it serves."""
