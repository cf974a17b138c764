"""What `sealserve bench` measures: one file a figure, each run against real processes."""
