"""Several datasets mixed to target proportions: split first, then repeated evenly in the training split alone."""
