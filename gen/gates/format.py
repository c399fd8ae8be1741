"""Keep replies in the form they were asked for, without what a generator left behind."""

from __future__ import annotations

import re
from dataclasses import dataclass

import orjson
from rapidfuzz import fuzz

from gen.text import capped, code_share, contents, fences, normalise, prose, words
from gen.types import Sample, Verdict, kept, rejected

# Special tokens of the published chat templates: ChatML, Llama 2 and 3, Mistral, Gemma, DeepSeek, Phi, T5 and GPT-2.
_TOKEN = re.compile(
    r"<\|[A-Za-z0-9_ ]{2,40}\|>|<｜[^｜\n]{2,40}｜>|\[/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS)\]|<</?SYS>>"
    r"|</?(?:start_of_turn|end_of_turn)>|<(?:bos|eos|unk|pad|mask|extra_id_\d{1,3})>|^\s{0,4}</?s>|</s>\s{0,4}\Z"
)
_TOKEN_MARKS = (  # one of them stands in each
    "<|", "<｜", "INST]", "SYSTEM_PROMPT]", "AVAILABLE_TOOLS]", "TOOL_CALLS]", "TOOL_RESULTS]", "SYS>>", "_of_turn>", "<bos>", "<eos>",
    "<unk>", "<pad>", "<mask>", "<extra_id_", "<s>", "</s>",
)  # fmt: skip
_PROMPT_TEXT = re.compile(
    r"^\s{0,3}#{2,4} ?(?:Instructions?|Response|Input|Output|Human|Assistant|User|System|Task)\s?:|^\W{0,2}(?:sure|certainly"
    r"|of course)?[!,.]? ?here (?:is|are) (?:the|your) (?:json|completed? (?:json|instruction)|requested (?:json|output))"
    r"|^\W{0,3}(?:as per|according to|following|based on) (?:the|your) (?:instructions?|guidelines|prompt|system prompt"
    r"|requirements) (?:above|provided|you gave)"
    r"|^\W{0,3}(?:as (?:requested|instructed) (?:in|by) the (?:system )?prompt)|\bmy system prompt (?:says|tells|is)",
    re.IGNORECASE | re.MULTILINE,
)
_PROMPT_HEADING = re.compile(r"## ?[A-Za-z\u017f]")  # the long s is the one letter beside them that ignoring case adds
_PROMPT_NAMES = ("instruction", "guidelines", "requirements")
_PROMPT_PLACES = ("above", "provided", "you gave")
_GENERATOR_KEYS = re.compile(r"[{,]\s{0,20}[\"'](?:instruction|output|response|completion)[\"']\s{0,4}:\s{0,4}[\"'{\[]")
_WHOLE_PLACEHOLDER = re.compile(
    r"[.…\-_*?x]{1,40}|n/?a\.?|none|null|nil|undefined|tbd|todo|placeholder|(?:your |the )?(?:response|answer|output"
    r"|text)(?: (?:goes )?here)?|[\[<({]{1,3}\s{0,3}[^\[\]<>(){}\n]{1,60}\s{0,3}[\])>}]{1,3}|lorem ipsum[^\n]{0,400}"
)
_SLOT_WORDS = "response|answer|output|insert|your|text|content|placeholder|todo|here|reply|completion|result"
_SLOT = re.compile(
    r"\[(?:(?:insert|enter|add|fill in|provide|specify|include|type|write|put)\b[^\[\]\n]{0,60}|(?:your|my|the|recipient'?s?"
    r"|sender'?s?|company|client|customer|manager|employee|friend|teacher|school|business|organi[sz]ation|product|project|user|first"
    r"|last|full|job|phone|email|street|city|event|start|end)[ _-]?(?:name|title|address|number|company|position|city|state|date"
    r"|email|phone|website|signature|time|age|contact information|date and time)?|name|date|address|company|title|position"
    r"|placeholder|todo)\](?![(\[])"
    r"|<(?:your|insert|enter) [^<>\n]{1,40}>|\{\{ ?[\w. ]{1,40} ?\}\}|\blorem ipsum dolor\b|\bINSERT [A-Z ]{2,30} HERE\b",
    re.IGNORECASE,
)
_SLOT_BEGINS = re.compile(  # the first word of a slot in square brackets
    r"\[(?:insert|enter|add|fill|provide|specify|include|type|write|put|your|my|the|recipient|sender|company|client|customer|manager|employee"
    r"|friend|teacher|school|business|organi|product|project|user|first|last|full|job|phone|email|street|city|event|start|end|name|date"
    r"|address|title|position|placeholder|todo)"
)
_SLOT_MARKS = ("<your", "<insert", "<enter", "lorem ipsum dolor", "insert ")
_ASKS_SLOTS = re.compile(
    r"template|letter|e-?mail|placeholder|form\b|fill[- ]in|boilerplate|contract|invitation|cover|resume|\bcv\b|message|memo|notice"
    r"|agreement|press release|script|jinja|handlebars|"
    r"vue|angular|mustache|draft|newsletter|announcement|invoice|\bpost\b|mad libs?|\[[^\]\n]{2,40}\]|\{\{|<your"
    r"|\bbrief|vorlage|lettre|modèle|courriel|carta\b|plantilla|correo|modelo|lettera|modello|szablon|письм|шаблон|模板|模版|邮件|信件|書信|手紙|テンプレート|メール|편지|이메일",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"</?(?:p|br|div|span|a|b|i|u|ul|ol|li|td|tr|th|table|tbody|font|img|h[1-6]|strong|em|center|body|html|head|script|style"
    r"|blockquote|hr)(?:\s[^<>]{0,200})?/?>",
    re.IGNORECASE,
)
_ENTITY = re.compile(r"&(?:nbsp|amp|lt|gt|quot|apos|mdash|ndash|hellip|rsquo|lsquo|ldquo|rdquo|#x?[0-9a-fA-F]{2,6});")
_ASKS_MARKUP = re.compile(
    r"html|xml|tags?\b|\bcss\b|web ?(?:page|site)|markup|<\w|&\w{2,6};|\bsvg\b|javascript|php|react|escape|encode|scrap|code", re.IGNORECASE
)
_TURN = re.compile(
    r"^\s{0,4}\W{0,4}(user|human|assistant|ai|ai assistant|chatbot|bot|gpt|instruction|prompt)\W{0,3}:(?=\W{0,4}[^\s:])",
    re.IGNORECASE | re.MULTILINE,
)
_TURN_MARKS = ("user", "human", "assistant", "ai:", "ai :", "ai*", "bot", "gpt", "instruction", "prompt")
_ASKS_TURNS = re.compile(
    r"dialog|conversation|interview|\bscript\b|transcript|chat|scene|screenplay|exchange|debate|role-?play|\bskit\b|discussion"
    r"|prompt|play\b|talk|q&a|(?:user|human|assistant|ai|bot)\s{0,2}:"
    r"|gespräch|entretien|entrevista|conversa|intervista|диалог|разговор|对话|對話|会話|対話|대화",
    re.IGNORECASE,
)
_ASKS_JSON = re.compile(
    r"(?:in|as|to|into|return|output|produce|generate|valid|respond with|reply with|give|format(?:ted)? (?:as|in)|only|write|create"
    r"|provide)(?: (?:a|an|the|only|valid|proper|single|me|raw|just)){0,3}"
    r" json\b(?! (?:parser|file|schema|library|api))|\bjson (?:format|object|array|only|output|list|string|response)",
    re.IGNORECASE,
)
_ONLY_JSON = re.compile(r"(?:only|valid|just|nothing but|raw|strictly)(?: \w{1,10}){0,2} json\b|\bjson (?:only|and nothing)", re.IGNORECASE)
_BAD_CHARACTER = re.compile(r"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]|Ã[\x80-\xbf©¨¤¶¼±³¡­]|â€[™œ\x9d“”¦]|√[º©®¶∂]")
_WITHOUT_BREAKS = {ord(character): None for character in "\n\r\t"}
_LABEL_ONLY = re.compile(
    r"(?:\d{1,3}[.):]|#{1,6}|[-*•]|(?:instructions?|input|output|question|task|prompt|example|response|answer)\s?\d{0,3}\s?[:.]?"
    r"|the|a|an|and|of|to|or|is|in)",
    re.IGNORECASE,
)
_ASKS_COPY = re.compile(r"\b(?:repeat|copy|echo|verbatim|word for word|recite|say (?:after|the|this|exactly))\b", re.IGNORECASE)
_ASKS_EDIT = re.compile(
    r"correct|\bfix|edit|proofread|re-?write|rephrase|paraphrase|gramma|\bbug|error|format|punctuat|capitali[sz]|improve|complete"
    r"|modif|update|refactor|"
    r"\badd\b|remove|replac|change|debug|convert|translat|equivalent|extract|upper|lower|\bsort|alphabeti|\border\b",
    re.IGNORECASE,
)
_ECHO = 95.0  # similarity in per cent (rapidfuzz ratio over words) from which a reply is the prompt again
_ECHO_WORDS = 4
_WHOLE_ECHO_WORDS = 8


@dataclass(frozen=True, slots=True)
class Format:
    """Rejects what betrays the machinery: a chat template's tokens, pieces of the prompt that made the sample, slots left unfilled,
    turns that the model invented, the prompt said again, markup and JSON that broke on the way, an instruction that is none.

    Each rule asks the prompt first: slots are right in a letter template, tags where HTML is asked for, speakers in a dialogue. Code is
    exempt from all but tokens and fences. The word lists are ours. Reasons: `leaked_template_token`, `leaked_prompt_text`,
    `broken_encoding`, `broken_instruction`, `placeholder`, `echo`, `invented_turn`, `broken_json`, `stray_html`, `unbalanced_fence`.

    >>> from gen.types import Message
    >>> PLUGIN().check(Sample("1", (Message("user", "Who are you?"), Message("assistant", "I am [Your Name].")))).reason
    'placeholder'
    """

    def check(self, sample: Sample) -> Verdict:
        for message in sample.messages:
            if isinstance(message.content, str) and (found := _token(message.content)):
                return rejected("format", "leaked_template_token", f"{found!r} in the {message.role[:20]}'s turn")
        prompts = contents(sample, "user")
        if prompts and (detail := _broken_instruction(prompts[0])):
            return rejected("format", "broken_instruction", detail)
        asked = capped("\n".join(contents(sample, "system") + prompts))
        for text in contents(sample, "assistant"):
            reason, detail = _broken(text, asked, prompts)
            if reason:
                return rejected("format", reason, detail)
        return kept("format")


def _token(text: str) -> str:
    body = capped(text)
    if "<" not in body and "[" not in body:
        return ""
    found = _TOKEN.search(body) if any(map(body.__contains__, _TOKEN_MARKS)) else None
    return found[0].strip()[:40] if found else ""


def _broken_instruction(text: str) -> str:
    bare = text.strip()
    if not bare or len(bare) > 40:
        return ""
    if _LABEL_ONLY.fullmatch(bare):
        return "the prompt is a label or a single function word"
    if bare.isascii() and not any(map(str.isalnum, bare)):
        return "the prompt holds no letter and no digit"
    return ""


def _broken(text: str, asked: str, prompts: tuple[str, ...]) -> tuple[str, str]:
    """The reason code and detail for the first rule that one reply breaks, else two empty texts."""
    if detail := _bad_characters(text):
        return "broken_encoding", detail
    if detail := _slots(text, asked):
        return "placeholder", detail
    if detail := _echo(text, prompts):
        return "echo", detail
    parts = fences(text)
    if parts.open and parts.ends_with_mark:
        return "unbalanced_fence", "an odd number of code fences"
    if "json" in asked.lower() and (detail := _json(text, asked)):
        return "broken_json", detail
    plain = prose(text)
    if ("<" in plain or "&" in plain) and (detail := _markup(plain, asked)):
        return "stray_html", detail
    if code_share(text) >= 0.5:
        return "", ""
    lowered = plain.lower()
    leak = _PROMPT_TEXT.search(plain) if _may_tell_a_prompt(plain, lowered) else None
    if found := leak or _leaked_keys(plain, asked):
        return "leaked_prompt_text", f"{found[0].strip()[:40]!r}"
    if ":" in plain and any(mark in lowered for mark in _TURN_MARKS) and (detail := _turns(plain, asked)):
        return "invented_turn", detail
    return "", ""


def _may_tell_a_prompt(plain: str, lowered: str) -> bool:
    """Whether the text holds what each alternative of `_PROMPT_TEXT` needs, in the order of those."""
    return (
        ("##" in plain and _PROMPT_HEADING.search(plain) is not None)
        or ("here " in lowered and ("json" in lowered or "complete" in lowered or "requested" in lowered))
        or "prompt" in lowered
        or (any(map(lowered.__contains__, _PROMPT_NAMES)) and any(map(lowered.__contains__, _PROMPT_PLACES)))
    )


def _bad_characters(text: str) -> str:
    body = capped(text)
    if body.isascii() and body.translate(_WITHOUT_BREAKS).isprintable():
        return ""
    count = len(_BAD_CHARACTER.findall(body))
    return f"{count} broken characters" if count >= 2 and 200 * count > len(body) else ""


def _slots(text: str, asked: str) -> str:
    bare = text.strip()
    if 0 < len(bare) <= 80 or bare[:5].lower() == "lorem":
        whole = _WHOLE_PLACEHOLDER.fullmatch(bare.lower())
        bracketed = bare[:1] in "[<({"
        if (
            whole
            and bare.lower() not in asked.lower()
            and (not bracketed or re.search(_SLOT_WORDS, bare.lower()))
            and not _plain_answer(bare)
        ):
            return f"the whole reply is {bare[:40]!r}"
    if "[" not in text and "{{" not in text and "<" not in text and "orem" not in text and "INSERT" not in text:
        return ""
    plain = prose(text)
    found = _SLOT.search(plain) if _may_hold_slot(plain) else None
    if found is None or _ASKS_SLOTS.search(asked) or code_share(text) >= 0.5:
        return ""
    return f"{found[0][:40]!r}"


def _may_hold_slot(plain: str) -> bool:
    """Whether `_SLOT` can match, by quick searches for how each of its alternatives begins."""
    if not plain.isascii() or "{{" in plain:
        return True
    lowered = plain.lower()
    if "[" in lowered and _SLOT_BEGINS.search(lowered):
        return True
    return any(map(lowered.__contains__, _SLOT_MARKS))


def _plain_answer(bare: str) -> bool:
    """Words that are placeholders in one place and the answer in another: none, null, undefined."""
    return bare.lower() in ("none", "null", "nil", "undefined", "x", "none.", "-", "?")


def _echo(text: str, prompts: tuple[str, ...]) -> str:
    """Whether the reply only says again what some user turn says: all of it, its first line, or the input that follows that line."""
    tokens = words(text)
    if len(tokens) < _ECHO_WORDS:
        return ""
    reply = " ".join(tokens)
    for prompt in prompts:
        head, _, rest = capped(prompt).strip().partition("\n")
        if any(_similar(part, reply) for part in {prompt, head}):
            detail = "the prompt again"
        elif _begins_with(text, head) and len(words(head)) >= _WHOLE_ECHO_WORDS:
            detail = "begins with the whole prompt"
        elif rest and _same_input(rest, text, reply, head):
            detail = "the prompt's input again"
        else:
            continue
        if not _ASKS_COPY.search(head[:400]):
            return detail
    return ""


def _begins_with(text: str, head: str) -> bool:
    """Whether the text begins with the head, both normalised; the first word of most tells that it does not."""
    begun = text[: 2 * len(head)]
    if begun.isascii() and head.isascii():
        first, opening = head.split(None, 1)[:1], begun.split(None, 1)[:1]
        if first and not (opening and opening[0].lower().startswith(first[0].lower())):
            return False
    return normalise(begun).startswith(normalise(head))


def _same_input(rest: str, text: str, reply: str, head: str) -> bool:
    """Whether the reply is the input. Where the input was to be changed, only an unchanged one counts, and code may have been right."""
    label, _, unlabelled = rest.strip().partition(":")
    parts = [part for part in ((rest, unlabelled) if len(label) < 20 else (rest,)) if _similar(part, reply)]
    if not parts or not _ASKS_EDIT.search(head[:400]):
        return bool(parts)
    return code_share(text) < 0.5 and any("".join(part.split()).strip("\"'") == "".join(text.split()).strip("\"'") for part in parts)


def _similar(part: str, reply: str) -> bool:
    if not 0.6 * len(reply) <= len(part) <= 2 * len(reply) + 20:
        return False
    said = " ".join(words(part))
    return 0.8 * len(reply) <= len(said) <= 1.25 * len(reply) and fuzz.ratio(said, reply, score_cutoff=_ECHO) > 0


def _leaked_keys(plain: str, asked: str) -> re.Match[str] | None:
    return None if ('"' not in plain and "'" not in plain) or "json" in asked.lower() else _GENERATOR_KEYS.search(plain)


def _turns(plain: str, asked: str) -> str:
    found = _TURN.findall(plain)
    if not found or _ASKS_TURNS.search(asked):
        return ""
    roles = {role.lower() for role in found}
    return f"{len(found)} lines begin with {', '.join(sorted(roles))}" if len(found) >= 2 or roles & {"user", "human"} else ""


def _markup(plain: str, asked: str) -> str:
    count = len(_TAG.findall(plain)) + len(_ENTITY.findall(plain))
    return f"{count} tags or entities" if count >= 2 and not _ASKS_MARKUP.search(asked) else ""


def _json(text: str, asked: str) -> str:
    """Why the JSON that was asked for cannot be read; empty when it can, or when the reply rightly holds code or prose about it."""
    if not _ASKS_JSON.search(asked):
        return ""
    blocks = fences(text).code
    body = text.strip()
    if blocks and body.lower().find("```json") >= 0:
        body = next((block for block in blocks if block.lstrip()[:1] in ("{", "[")), blocks[0])
    elif len(blocks) == 1 and body.startswith("```"):
        body = blocks[0]
    body = body.strip()
    if not body or body[0] not in "{[":
        return "no JSON in the reply" if body and _ONLY_JSON.search(asked) and "{" not in body and "[" not in body else ""
    documents = [line for line in body.splitlines() if line.strip()] if re.search(r"json ?l(?:ines)?\b", asked, re.IGNORECASE) else [body]
    for document in documents[:1000]:
        try:
            orjson.loads(document.encode("utf-8", "replace"))
        except orjson.JSONDecodeError as error:
            return f"{error.msg[:80]}"
    return ""


PLUGIN = Format
