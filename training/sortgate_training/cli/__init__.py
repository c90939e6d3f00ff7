"""The commands that training adds to ``sortgate``."""
