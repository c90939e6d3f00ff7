"""What a reader is told of a classifier: figures with intervals, the report page and the model card."""
