"""The product centre 产品中心: the shelf of wealth and credit products, and whom each suits."""
