"""Screening of passages by the base model before anything is written on them."""
