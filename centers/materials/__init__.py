"""The materials centre 物料中心: approved words and documents at the moment of contact."""
