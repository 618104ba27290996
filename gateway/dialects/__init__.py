"""All dialects by name."""
