"""The product centre: the shelf of wealth and credit products, and whom each suits."""
