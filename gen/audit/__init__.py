"""The data-quality audit of any dataset: what is in it, what is wrong with it, where, and what would mend it."""
