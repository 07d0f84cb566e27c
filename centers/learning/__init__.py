"""The learning centre 学习中心: who is qualified for what, to the second."""
