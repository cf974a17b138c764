"""Answers tenants: admission, the choice of the version that answers, and the activation of desired versions."""
