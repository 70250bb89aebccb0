"""The parts of a random spec, each grown by a module of its own; ../generate.py puts them together."""
