"""The demonstration: generated support-desk texts, and one run of the whole path with every text counted."""
