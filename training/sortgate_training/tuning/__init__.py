"""The search for a configuration with better validation figures within a serving budget: ``sortgate tune``."""
