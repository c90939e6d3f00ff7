"""The Celery worker: reads request streams in its event loop and classifies batches in its prefork pool."""
