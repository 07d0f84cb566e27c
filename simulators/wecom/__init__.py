"""WeCom (企业微信) with its own rules: members confirm, customers are not flooded."""
