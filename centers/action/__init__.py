"""The action centre 行动中心: strategies become guided tasks on the front line's desk."""
