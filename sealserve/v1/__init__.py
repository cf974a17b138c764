"""Generated from proto/sealserve/v1 by ops/protos; never edited by hand."""
