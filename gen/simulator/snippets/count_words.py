# task: counts how often each word occurs in a text
# note: Counter does the bookkeeping, and stripping punctuation keeps a word at the end of a sentence from counting twice
from collections import Counter


def count_words(text: str) -> Counter[str]:
    """How often each word occurs, ignoring case."""
    return Counter(word.strip(".,;:!?").lower() for word in text.split())
