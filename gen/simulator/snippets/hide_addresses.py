# task: hides the local part of e-mail addresses in a text
# note: the pattern is bounded, so a very long input cannot make it slow
import re


def hide_addresses(text: str) -> str:
    """The text with the part before each @ replaced by stars."""
    return re.sub(r"[\w.+-]{1,64}(?=@)", "***", text)
