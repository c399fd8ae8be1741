"""From messages to token ids: a tokenizer's chat template, the loss mask, rows of a packed set, and a look at them."""
