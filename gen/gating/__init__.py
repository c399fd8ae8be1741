"""Data sets of any size through a chain of gates: several files, several processes, resumable, the best of each family kept by choice."""
