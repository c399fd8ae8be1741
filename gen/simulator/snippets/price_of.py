# task: caches the results of an expensive function
# note: the cache is limited, so memory stays bounded even with many different articles
from functools import lru_cache


@lru_cache(maxsize=1000)
def price_of(article: str) -> int:
    """The price in cents, computed once."""
    return sum(ord(sign) for sign in article)
