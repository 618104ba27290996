"""The proof that content is not kept: marks that are put into calls, and a search for them afterwards."""
