"""Outside parties of the bank, played by processes of their own, in the demo alone.

Each is a service of the mesh with a store of its own: what it accepted, what it
was told will happen, and the reports that it owes survive its death. They know
customers by token, and of a text they keep the hash.
"""
