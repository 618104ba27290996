"""The providers as the flow sees them."""
