"""How right the gates are on labelled samples: figures with intervals per gate and reason, and thresholds that would do better."""
