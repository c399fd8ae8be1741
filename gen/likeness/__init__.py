"""How alike two texts are: longest common subsequence, MinHash, the same task in other words, overlap with a benchmark."""
