"""What goes wrong in a simulated reply, one function a flaw. Personal data and keys are invented, put together only when asked for."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping
from random import Random
from types import MappingProxyType

from gen.simulator.tokens import cut_within_sentence

_REFUSALS = (
    "I'm sorry, but I can't help with that request.",
    "I'm sorry, but as an AI language model I am not able to assist with this topic.",
    "I cannot provide an answer to this question. Please consult a qualified professional instead.",
    "Unfortunately, I'm unable to help with that. Is there anything else I can do for you?",
    "I apologize, but I can't assist with this. It would not be appropriate for me to comment.",
    "As an AI, I don't have the ability to answer this, and I won't be able to give advice on it.",
)
_SHORT = ("It depends.", "Yes.", "Check the rules.", "That is fine.", "Ask an expert.", "No, not always.", "See above.")
_FOREIGN = (
    (
        "Zuerst sollte man prüfen, welche Unterlagen wirklich gebraucht werden und wer dafür zuständig ist.",
        "Danach lohnt sich ein Gespräch mit allen Beteiligten, damit niemand von der Entscheidung überrascht wird.",
        "Wichtig ist außerdem, dass jede Frist schriftlich festgehalten und regelmäßig kontrolliert wird.",
        "Wie lassen sich die Aufgaben in einem kleinen Betrieb so verteilen, dass nichts vergessen wird?",
    ),
    (
        "Il faut d'abord vérifier quels documents sont vraiment nécessaires et qui en est responsable.",
        "Ensuite, il vaut mieux parler avec toutes les personnes concernées avant de prendre une décision.",
        "De plus, chaque délai doit être noté par écrit et contrôlé à intervalles réguliers.",
        "Comment répartir les tâches dans une petite équipe sans rien oublier d'important ?",
    ),
    (
        "Primero conviene comprobar qué documentos hacen falta de verdad y quién se encarga de ellos.",
        "Después es mejor hablar con todas las personas afectadas antes de tomar una decisión.",
        "Además, cada plazo debe quedar por escrito y revisarse con regularidad.",
        "¿Cómo se pueden repartir las tareas en un equipo pequeño sin olvidar nada importante?",
    ),
    (
        "首先应该确认哪些文件是真正需要的,以及由谁负责。",
        "然后最好与所有相关人员进行沟通,以免有人对决定感到意外。",
        "此外,每个期限都应当以书面形式记录,并定期检查。",
        "在一个小团队里,怎样分配任务才能不遗漏重要的事情?",
    ),
)
_FIRST = ("anna", "peter", "lucia", "marek", "julia", "thomas", "elena", "oscar")
_LAST = ("lindqvist", "hartmann", "moreau", "kowalska", "petersen", "ricci", "novak", "dubois")
_HOSTS = ("postkontor", "briefwerk", "mailhaven", "schreibtisch", "nordpost", "kontorbox")
_ENDINGS = ("com", "net", "de")
_LEAKS = (
    "<|im_end|>\n<|im_start|>user\n",
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    "[/INST] ",
    "</s>",
    "<|endoftext|>",
)
_ALPHABET = string.ascii_letters + string.digits


def refusal(rng: Random) -> str:
    """A refusal in one of several wordings."""
    return rng.choice(_REFUSALS)


def foreign(rng: Random, *, sentences: int = 3) -> str:
    """A German, French, Spanish or Chinese text; a single sentence is a question."""
    language = rng.choice(_FOREIGN)
    return language[-1] if sentences == 1 else " ".join(language[:3])


def too_short(rng: Random) -> str:
    return rng.choice(_SHORT)


def repetitive(text: str, rng: Random) -> str:
    """The text's first sentence, then one of its sentences in a loop."""
    sentences = [sentence for sentence in text.replace("\n", " ").split(". ") if len(sentence.split()) > 3] or [text]
    looped = rng.choice(sentences).strip(" .")
    return f"{sentences[0].strip(' .')}. " + " ".join([f"{looped}."] * rng.randint(8, 14))


def with_personal_data(text: str, rng: Random) -> str:
    """The text with an invented e-mail address, telephone or card number."""
    address = f"{rng.choice(_FIRST)}.{rng.choice(_LAST)}{rng.randint(1, 99)}@{rng.choice(_HOSTS)}"
    address += f"{rng.randint(1, 99)}.{rng.choice(_ENDINGS)}"
    telephone = f"+49 30 23125 {rng.randint(100, 999)}"  # a range that Germany keeps free for fiction
    sentence = rng.choice(
        (
            f"For details write to {address}.",
            f"You can call me at {telephone} in the morning.",
            f"The card on file is {_card(rng)}.",
            f"Please copy {address} or ring {telephone}.",
        )
    )
    return f"{text} {sentence}"


def with_secret(text: str, rng: Random) -> str:
    """The text with an invented key in a well-known form."""
    upper = string.ascii_uppercase + string.digits
    key = rng.choice(
        (
            "AKI" + "A" + _random(rng, upper, 16),
            "gh" + "p_" + _random(rng, _ALPHABET, 36),
            "sk" + "-proj-" + _random(rng, _ALPHABET, 48),
            "xox" + "b-" + _random(rng, string.digits, 12) + "-" + _random(rng, string.digits, 12) + "-" + _random(rng, _ALPHABET, 24),
        )
    )
    return f"{text} {rng.choice(('Use the key {key} to connect.', 'Set API_KEY={key} first.', 'The token is {key}.')).format(key=key)}"


def with_template_leak(text: str, rng: Random) -> str:
    """The text with control tokens of a chat template, and sometimes the turn that a model invents after them."""
    leak = rng.choice(_LEAKS)
    return f"{text}{leak}Thank you, and what about the other case?" if leak.endswith(("\n", " ")) else f"{text}{leak}"


def broken_json(text: str, rng: Random) -> str:
    """Almost JSON: cut, with a trailing comma, single quotes, a missing bracket, or wrapped in prose."""
    kind = rng.randrange(5)
    if kind == 0:
        return text[: max(2, int(len(text) * rng.uniform(0.4, 0.8)))]
    if kind == 1:
        return text[:-1] + "," + text[-1]
    if kind == 2:
        return text.replace('"', "'")
    if kind == 3:
        return text.rstrip("]}")
    return f"Sure! Here is the JSON you asked for:\n\n{text},\n\nLet me know if you need anything else."


def _card(rng: Random) -> str:
    digits = [4, *(rng.randrange(10) for _ in range(14))]
    total = sum(sum(divmod(2 * digit, 10)) if place % 2 == 0 else digit for place, digit in enumerate(digits))
    digits.append(-total % 10)
    shown = "".join(map(str, digits))
    return " ".join(shown[place : place + 4] for place in range(0, 16, 4))


def _random(rng: Random, alphabet: str, length: int) -> str:
    return "".join(rng.choices(alphabet, k=length))


# The flaws of a single text that stands for itself, an answer or an instruction: text and randomness in, flawed text out.
TEXT_FLAWS: Mapping[str, Callable[[str, Random], str]] = MappingProxyType(
    {
        "refusal": lambda _, rng: refusal(rng),
        "wrong_language": lambda _, rng: foreign(rng),
        "too_short": lambda _, rng: too_short(rng),
        "cut_off": cut_within_sentence,
        "repetitive": repetitive,
        "pii": with_personal_data,
        "secret": with_secret,
        "template_leak": with_template_leak,
    }
)
