"""The words that follow each other in requests."""

from voicechat.server.assistant import intents
from voicechat.server.stt.word_followers import EDGE, WordFollowers, plain_words

SMALL = WordFollowers.of(
    [({EDGE}, {"flip", "toss"}), ({"flip", "toss"}, {"a"}), ({"a"}, {"coin"}), ({"coin"}, {EDGE})]
)


def test_words_and_their_beginnings_are_known_only_after_the_right_word():
    assert SMALL.knows("flip", "a")
    assert not SMALL.knows("flip", "coin")
    assert not SMALL.knows("unknown", "a")
    assert SMALL.knows_beginning("a", "co")
    assert not SMALL.knows_beginning("flip", "co")
    assert SMALL.knows_all(["toss", "a", "coin"])
    assert not SMALL.knows_all(["toss", "a"])


def test_the_copy_of_the_worker_knows_the_same():
    copy = WordFollowers(SMALL.words, SMALL.rows)
    pairs = [(one, other) for one in SMALL.words for other in SMALL.words]
    assert [copy.knows(*pair) for pair in pairs] == [SMALL.knows(*pair) for pair in pairs]


def test_the_templates_give_pairs_that_samples_miss():
    known = WordFollowers.of(intents.word_followers())
    for request in (
        "Add milk to my shopping list.",
        "Convert nine ounces to grams.",
        "What's seventy minus seventeen?",
        "Please set a timer for 45 minutes.",
        "Wake me up at 6:15.",
        "What time is it in Tokyo, please?",
        "Call me Julia.",
    ):
        assert known.knows_all(plain_words(request)), request
    for unusual in ("Cancel the act timer.", "Put a dozen x on my list.", "Colorless green ideas."):
        assert not known.knows_all(plain_words(unusual)), unusual
    assert sum(map(len, known.rows)) < 1_000_000
