"""The admin side: health, metrics, and the API for operators."""
