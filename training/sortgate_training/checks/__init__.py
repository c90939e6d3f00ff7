"""Looks at labelled texts before anything is trained on them; the commands ``check`` and ``init`` say what it found."""
