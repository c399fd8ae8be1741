"""Ready configs beside a run's data: what Axolotl, LLaMA-Factory, TRL and Unsloth are started with, one file a trainer."""
