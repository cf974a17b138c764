"""Judging: measures turned into a verdict by written policy. Judges, and never writes."""
