"""The customer centre 客户中心: customers by token, who owns them, and what was said to them."""
