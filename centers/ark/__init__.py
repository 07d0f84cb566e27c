"""The Data Ark: the only holder of personal data; it answers masked."""
