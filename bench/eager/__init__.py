"""Eager PyTorch forms of the examples; bench/eager.py runs them."""
