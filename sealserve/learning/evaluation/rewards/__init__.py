"""The rewards that candidates may be ranked by."""
