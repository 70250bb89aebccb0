"""What is known of axes and expressions while they grow."""
import re

CONSTANT = re.compile(r"\b(true|false|given|p\d+)\b")  # conditions that the checker may decide


class Axis:
    def __init__(self, name, size):
        self.name, self.size = name, size


class Val:
    """An expression: its text (already in parentheses where that matters), its leaf axes, whether it may be absent."""

    def __init__(self, text, axes, absent=False):
        self.text, self.axes, self.absent = text, frozenset(axes), absent
