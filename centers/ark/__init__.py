"""The Data Ark 数字方舟: the only holder of personal data; it answers masked."""
