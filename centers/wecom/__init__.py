"""The WeCom adapter 企业微信: who is bound to whom, and messages that members must confirm."""
