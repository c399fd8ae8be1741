"""What is remembered of pre-tokens gives the tokenizer's own ids, and nothing is remembered that was not proved."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from gen.errors import InputError
from gen.resources import resource
from gen.templates import piece_encoder, pretokens
from gen.templates.piece_encoder import PieceEncoder
from gen.templates.pretokens import Pretokens, open_pretokens, packed_ids
from gen.templates.tokenizer import ChatTokenizer, Piece, load_tokenizer

LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CORPUS = resource("data", "tokenizer", "corpus.txt").read_text(encoding="utf-8")
MORE = "Das Café schließt — naïve “Gäste” wären überrascht’s. 中文也可以 e\u0301 \u0301x\xa0y 😀 привет мир"


@cache
def backend(normalizer: str = "") -> Tokenizer:
    """Llama 3's split over what the shipped corpus and some foreign text merge to."""
    made = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), byte_level])
    made.decoder = decoders.ByteLevel()
    if normalizer:
        made.normalizer = normalizers.NFC()
    trainer = trainers.BpeTrainer(vocab_size=3000, show_progress=False, initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    made.train_from_iterator([CORPUS[:40_000], *[MORE] * 20], trainer)
    made.add_tokens([AddedToken("<think>", normalized=False)])
    made.add_special_tokens([AddedToken("<|im_end|>", normalized=False)])
    made.encode_special_tokens = True
    return made


@cache
def remembering(normalizer: str = "") -> Pretokens:
    opened = open_pretokens(backend(normalizer), ["<think>", "<|im_end|>"])
    assert opened is not None
    return opened


def exact(text: str, normalizer: str = "") -> bytes:
    return packed_ids(backend(normalizer).encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("normalizer", ["", "nfc"])
@given(
    st.lists(
        st.one_of(st.text(max_size=12), st.sampled_from([*MORE.split(), " The", "'ll", "\n\n", "  ", " 12345", "\u0301", "\xa0"])),
        max_size=12,
    )
)
@settings(deadline=None, max_examples=300)
def test_any_text_has_the_ids_that_the_tokenizer_gives_it(normalizer: str, parts: list[str]) -> None:
    text = "".join(parts)
    (found,) = remembering(normalizer).encode([text])
    assert found == exact(text, normalizer)


def test_a_long_text_is_the_same_the_second_time() -> None:
    texts = [CORPUS[start : start + 3000] + MORE for start in range(0, 30_000, 1500)]
    wanted = [exact(text) for text in texts]
    assert remembering().encode(texts) == wanted
    assert remembering().encode(texts) == wanted


def test_words_too_long_to_be_met_again_are_encoded_and_forgotten() -> None:
    opened = open_pretokens(backend(), [])
    assert opened is not None
    texts = ["a" * 500, "中" * 500, "short " + "b" * 70, "a" * 500]
    assert opened.encode(texts) == [exact(text) for text in texts]
    assert max(map(len, opened._known)) <= pretokens.LONGEST_KNOWN


def test_the_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = open_pretokens(backend(), [])
    assert opened is not None
    monkeypatch.setattr(pretokens, "MAX_KNOWN", 50)
    texts = [CORPUS[start : start + 200] for start in range(0, 20_000, 200)]
    for text in texts:
        assert opened.encode([text]) == [exact(text)]
        assert len(opened._known) < 50 + 200


@pytest.mark.parametrize("text", ["say <think> now", "<|im_end|>", "é <think>"])
def test_a_text_that_names_an_added_token_is_left_to_the_tokenizer(text: str) -> None:
    assert remembering().encode([text, "plain"]) == [None, exact("plain")]


def test_a_tokenizer_that_cuts_in_an_unknown_way_is_not_remembered() -> None:
    other = Tokenizer(models.BPE())
    other.pre_tokenizer = pre_tokenizers.Metaspace()
    assert open_pretokens(other, []) is None


def test_a_tokenizer_that_draws_its_merges_is_not_remembered() -> None:
    drawing = Tokenizer(models.BPE(dropout=0.5))
    drawing.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    assert open_pretokens(drawing, []) is None


def test_cuts_that_differ_from_the_tokenizer_are_seen_before_they_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretokens, "ascii_split", lambda *_, **__: lambda text: text.split(" "))
    assert open_pretokens(backend(), []) is None


LOADED = load_tokenizer(resource("data", "tokenizer"))
PIECES = [Piece(CORPUS[start : start + 90].encode().decode()) for start in range(0, 60_000, 90)]


@pytest.fixture
def wrong(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A memory that drops the last token of every text, past its proof."""

    def ends_early(self: ChatTokenizer) -> object:
        right = open_pretokens(self._backend, self.specials)
        assert right is not None

        class Wrong:
            def encode(self, texts: list[str]) -> list[bytes | None]:
                return [ids and ids[:-4] for ids in right.encode(texts)]

        return Wrong()

    monkeypatch.setattr(ChatTokenizer, "pretokens", ends_early)
    return


def test_pieces_have_the_same_ids_remembered_or_not() -> None:
    assert PieceEncoder(LOADED).encode(PIECES) == PieceEncoder(LOADED, remember=False).encode(PIECES) == LOADED.encode(PIECES)


@pytest.mark.usefixtures("wrong")
def test_a_real_text_that_disproves_the_memory_ends_the_work() -> None:
    with pytest.raises(InputError, match=r"'tokenizer' cuts a text in another way than its tokenizer\.json says.*`remember: false`"):
        PieceEncoder(LOADED).encode(PIECES)
    assert PieceEncoder(LOADED, remember=False).encode(PIECES) == LOADED.encode(PIECES)


@pytest.mark.usefixtures("wrong")
def test_the_very_first_piece_is_encoded_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(piece_encoder, "_WORTH_A_PROOF", 1)
    encoder = PieceEncoder(LOADED)
    with pytest.raises(InputError):
        encoder.encode(PIECES[:1])


def test_few_pieces_are_not_worth_a_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ChatTokenizer, "pretokens", None)
    assert PieceEncoder(LOADED).encode(PIECES[:20]) == LOADED.encode(PIECES[:20])
