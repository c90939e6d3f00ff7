"""Trains LSTM and GRU text classifiers and writes them as Sortgate bundles."""
