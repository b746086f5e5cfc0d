import math
from collections import defaultdict

from voicechat.server.stt.language_model import arpa, language, version_of

SENTENCES = [line.split() for line in ("set a timer", "set a date", "flip a coin", "what time")]


def parsed(lines):
    chances, weights, order = defaultdict(dict), {}, 0
    for line in lines:
        for row in line.splitlines():
            if row.endswith("-grams:"):
                order = int(row[1])
            elif order and row and not row.startswith("\\"):
                fields = row.split()
                gram = tuple(fields[1 : order + 1])
                chances[order][gram] = float(fields[0])
                if order < 3:
                    weights[gram] = float(fields[-1])
    return chances, weights


def probability(chances, weights, gram):
    if gram in chances[len(gram)]:
        return 10 ** chances[len(gram)][gram]
    return 10 ** weights.get(gram[:-1], 0.0) * probability(chances, weights, gram[1:])


def test_probabilities_after_any_history_add_up_to_one():
    chances, weights = parsed(arpa(SENTENCES))
    vocabulary = [gram[0] for gram in chances[1] if gram != ("<s>",)]
    for history in [("set", "a"), ("<s>", "set"), ("coin", "what"), ("a",), ()]:
        total = sum(probability(chances, weights, (*history, word)) for word in vocabulary)
        assert math.isclose(total, 1.0, abs_tol=0.002)


def test_seen_words_are_more_likely_than_unseen_ones():
    chances, weights = parsed(arpa(SENTENCES))
    seen = probability(chances, weights, ("set", "a", "timer"))
    assert seen > 5 * probability(chances, weights, ("set", "a", "what"))


def test_a_model_is_built_once_per_version_and_replaces_old_ones(tmp_path):
    dictionary = tmp_path / "stock.dict"
    dictionary.write_text("what W AH T\nwhat(2) HH W AH T\ntime T AY M\nzebra Z IY B R AH\n")
    calls = []

    def sentences(size):
        assert size == 3
        calls.append(1)
        return ["what time", "voicechat", "frobnicate time"]

    folder = tmp_path / "cache"
    built = language(folder, dictionary, sentences, "one", 3)
    assert built.unknown == ("frobnicate",)
    words = {line.split()[0] for line in built.dictionary.read_text().splitlines()}
    assert words == {"what", "what(2)", "time", "voicechat"}
    assert "frobnicate" not in built.model.read_text()
    assert language(folder, dictionary, sentences, "one", 3).model == built.model
    assert len(calls) == 1
    other = language(folder, dictionary, sentences, "two", 3)
    assert sorted(folder.iterdir()) == sorted((other.model, other.dictionary))


def test_the_version_changes_with_any_source(tmp_path):
    (tmp_path / "templates.txt").write_text("a")
    before = version_of(tmp_path, 1)
    assert before == version_of(tmp_path, 1)
    assert before != version_of(tmp_path, 2)
    (tmp_path / "templates.txt").write_text("b")
    assert before != version_of(tmp_path, 1)
