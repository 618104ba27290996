"""The six stages of a call, one class each."""
