"""What candidates may be ranked by."""
