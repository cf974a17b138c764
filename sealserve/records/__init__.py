"""What flows through sealserve: frozen records, one file a noun."""
