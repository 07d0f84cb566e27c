"""The action centre: strategies become guided tasks on the front line's desk."""
