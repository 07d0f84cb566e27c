"""The customer centre: customers by token, who owns them, and what was said to them."""
