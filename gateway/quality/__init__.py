"""How well a cheaper model serves: bounds, and models of prompts that are fitted from outcomes. No I/O."""
