"""PDF documents of strangers: checked and rewritten in a process of their own.

The parts that parse (`worker` and what it imports) run in the child alone;
`process` is the service's side and knows nothing of PDF.
"""
