"""Who stays: one file per gate, found by its name.

Each file holds `PLUGIN`, a frozen dataclass whose fields are the gate's options, and its docstring says what the gate is for, where its
thresholds come from and which reason codes it gives.
"""
