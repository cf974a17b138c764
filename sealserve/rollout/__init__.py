"""What happens after a promotion: shadow traffic, evidence and automatic rollback."""
