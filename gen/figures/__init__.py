"""The numbers behind the papers of a run: one function per figure, so that no two pages can disagree."""
