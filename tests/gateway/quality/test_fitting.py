"""Models of prompts: they find what words tell, promise no more than is proven, and come back from files."""

import random
from pathlib import Path

import orjson
import pytest

from gateway.names import Slug
from gateway.quality import sparse
from gateway.quality.calibration import Curve, calibration_error, fit_curve, logistic
from gateway.quality.contest import compete
from gateway.quality.deciding import decide
from gateway.quality.features import TAIL, WIDTH, marks, shape, words
from gateway.quality.fitted import FORM, Fitted, FittedError, dump, load, load_thresholds, score_name
from gateway.quality.fitting import LEAST, Feedback, Fit, Reader, fit
from gateway.quality.threshold import NEVER, find_cut

EASY = ("What is the capital of {}?", "Say hello to {}.", "Spell {} backwards.")
HARD = (
    "Prove that every {} has a fixed point.",
    "Find all {} with integral roots.",
    "Derive {} from axioms.",
)


def feedback(count: int, seed: int = 1, group: str = "") -> list[Feedback]:
    """Easy prompts that both serve, and hard ones that the cheap model mostly does not."""
    chance, found = random.Random(seed), []
    for _ in range(count):
        hard = chance.random() < 0.5
        prompt = chance.choice(HARD if hard else EASY).format(f"thing{chance.randrange(50)}")
        cheap = float(chance.random() < (0.2 if hard else 0.98))
        found.append(
            Feedback(prompt=prompt, group=group, cheap=cheap, requested=float(chance.random() < 0.95))
        )
    return found


@pytest.fixture(scope="module")
def fitted() -> Fit:
    found = fit(feedback(600), b"key", 0.95, 0.9)
    assert found is not None
    return found


def test_the_easy_go_to_the_cheap_model_and_the_hard_do_not(fitted: Fit) -> None:
    easy = fitted.model.score(Reader("What is the capital of thing7?"))
    hard = fitted.model.score(Reader("Prove that every thing7 has a fixed point."))
    assert easy >= fitted.cut.score > hard
    assert 0.35 < fitted.cut.share < 0.65
    assert fitted.cut.bound >= 0.95
    assert fitted.curve.probability(easy) > 0.85 > 0.45 > fitted.curve.probability(hard)


def test_what_is_proven_holds_on_other_rows(fitted: Fit) -> None:
    rows = feedback(600, seed=2)
    scores = [fitted.model.score(Reader(row.prompt)) for row in rows]
    got = sum(
        row.cheap if score >= fitted.cut.score else row.requested
        for row, score in zip(rows, scores, strict=True)
    )
    assert got / sum(row.requested for row in rows) > 0.95
    p_ok = [fitted.curve.probability(score) for score in scores]
    assert calibration_error(p_ok, [row.cheap >= row.requested for row in rows]) < 0.06


def test_few_rows_are_not_fitted() -> None:
    assert fit(feedback(LEAST - 1), b"key", 0.95, 0.9) is None


def test_groups_are_features_where_they_are_known() -> None:
    rows = [
        Feedback(prompt=f"the same words {place % 7}", group=name, cheap=cheap, requested=1.0)
        for place in range(200)
        for name, cheap in (("good", 1.0), ("bad", 0.0))
    ]
    found = fit(rows, b"key", 0.95, 0.9)
    assert found is not None
    reader = Reader("the same words 3")
    assert found.model.score(reader, "good") > found.cut.score > found.model.score(reader, "bad")
    assert found.model.score(reader, "unheard") == found.model.score(reader)


def test_a_decision_without_feedback_keeps_the_requested_model() -> None:
    asked = [("What is the capital of thing7?", ""), ("Anything", "")]
    assert [(one.p_ok, one.cheap) for one in decide([], asked, 0.98, 0.9)] == [(0.5, False)] * 2
    few = decide(feedback(10), asked, 0.98, 0.9)
    assert not any(one.cheap for one in few)
    many = decide(feedback(600), asked, 0.95, 0.9)
    assert many[0].cheap


def test_prompts_of_another_kind_stay_where_they_are(fitted: Fit) -> None:
    assert fitted.model.knows(Reader("What is the capital of thing7?"))
    assert not fitted.model.knows(Reader("Écris un poème sur la mer et le vent du nord"))
    strange = decide(feedback(600), [("Lorem ipsum dolor sit amet, consectetur", "")], 0.95, 0.9)
    assert not strange[0].cheap
    assert kept(fitted).p_ok(Reader("Lorem ipsum dolor sit amet")) == 0


# --- its parts


def test_numpy_and_plain_lists_find_the_same_weights() -> None:
    numpy = pytest.importorskip("numpy")
    chance = random.Random(4)
    rows = [{chance.randrange(40): chance.random() for _ in range(6)} for _ in range(30)]
    wanted = [chance.random() for _ in rows]
    plain = sparse.ridge(sparse.Plain(rows, 40), wanted, 0.5)
    quick = sparse.ridge(sparse.Numeric(numpy, rows, 40), wanted, 0.5)
    assert plain == pytest.approx(quick, abs=1e-6)
    residue = [
        two - sum(plain[column] * value for column, value in row.items())
        for row, two in zip(rows, wanted, strict=True)
    ]
    # At the best weights the penalty pulls as hard as what is left of the rows.
    pull = sparse.Plain(rows, 40).turned(residue)
    assert [0.5 * weight for weight in plain] == pytest.approx(pull, abs=2e-2)


def test_a_matrix_can_do_without_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(sparse, "import_module", missing)
    assert isinstance(sparse.matrix([{0: 1.0}], 1), sparse.Plain)
    assert sparse.ridge(sparse.matrix([{0: 1.0}], 1), [0.0], 1.0) == [0.0]


def test_a_curve_keeps_the_order_and_stays_finite() -> None:
    scores = [place / 10 for place in range(-50, 50)]
    curve = fit_curve(scores, [score > 0 for score in scores])
    assert curve.probability(-5) < 0.1 < 0.9 < curve.probability(5)
    turned = fit_curve(scores, [score < 0 for score in scores])
    assert turned.slope > 0
    assert 0.4 < turned.probability(0) < 0.6
    alike = fit_curve(scores, [True] * 100)
    assert 0.9 < alike.probability(0) < 1
    assert fit_curve([0.0] * 10, [True, False] * 5).probability(3) == pytest.approx(0.5, abs=0.01)
    assert (logistic(1000), logistic(-1000)) == (1.0, 0.0)


def test_calibration_error_is_the_mean_gap() -> None:
    assert calibration_error([0.75] * 4, [True, True, True, False]) == 0.0
    assert calibration_error([1.0, 0.0], [False, True]) == 1.0
    assert calibration_error([], []) == 0.0


def test_a_cut_takes_equals_together_and_all_where_all_is_proven() -> None:
    everything = find_cut([0.1] * 500, [0.1] * 500, 0.5, 0.98, 0.9)
    assert (everything.score, everything.share) == (-NEVER, 1.0)
    nothing = find_cut([0.1] * 500, [-0.1] * 500, 0.5, 0.98, 0.9)
    assert (nothing.score, nothing.share) == (NEVER, 0.0)
    half = find_cut([1.0, 0.0] * 500, [0.0, -1.0] * 500, 0.9, 0.98, 0.9)
    assert (half.score, half.share, half.kept) == (0.5, 0.5, 1.0)
    assert find_cut([], [], 0.5, 0.98, 0.9).share == 0.0
    assert find_cut([1.0], [0.0], 0.0, 0.98, 0.9).share == 0.0


def test_features_depend_on_the_key_and_on_the_window_only() -> None:
    assert words("one two three", b"a") == words("One two  three", b"a")
    assert words("one two three", b"a") != words("one two three", b"b")
    assert words("two one three", b"a")[0] != words("one two three", b"a")[0]
    assert words("two one three", b"a")[1] == words("one two three", b"a")[1]
    long = "x " * 5000
    assert words(long + "left out" + "y " * TAIL, b"a") == words(long + "y " * TAIL, b"a")
    assert words("", b"a") == (set(), set())
    assert len(shape("")) == len(shape("Two lines\n2+2?")) == 7
    for text in ("", "A?", "x" * 10**6, "```code```\nA. 1\n" * 300):
        assert all(WIDTH > column > 0 for column in marks(text))


# --- against the table, and in files


def test_a_model_wins_where_words_tell_more_than_the_task(fitted: Fit) -> None:
    rows = feedback(600)
    one = compete(rows, ["chat"] * len(rows), fitted)
    assert one.won
    assert one.model > one.table + one.error
    known = ["hard" if row.prompt.startswith(("Prove", "Find", "Derive")) else "easy" for row in rows]
    assert compete(rows, known, fitted).table > one.table


def test_a_model_that_moves_nothing_does_not_win() -> None:
    rows = [Feedback(prompt=f"word{place}", group="", cheap=0.0, requested=1.0) for place in range(100)]
    found = fit(rows, b"key", 0.99, 0.9)
    assert found is not None
    assert not compete(rows, ["chat"] * 100, found).won


def kept(fit: Fit) -> Fitted:
    return Fitted(
        requested=Slug("p/large"),
        candidate=Slug("p/small"),
        model=fit.model,
        curve=fit.curve,
        threshold=900,
        facts={"rows": 600},
    )


def test_a_fitted_model_comes_back_from_its_file(fitted: Fit, tmp_path: Path) -> None:
    path = tmp_path / "fitted.json"
    path.write_bytes(dump([kept(fitted)]))
    (again,) = load(path)
    assert again.model.known == fitted.model.known
    for prompt in ("What is the capital of thing7?", "Prove it.", ""):
        assert again.p_ok(Reader(prompt)) == kept(fitted).p_ok(Reader(prompt))
    assert load_thresholds(path) == {("p/large", "p/small"): 900}
    assert b"capital" not in path.read_bytes()
    assert again.facts == {"rows": 600.0}
    assert score_name(Slug("a"), Slug("b")) == "ok:a:b"


def test_files_that_are_none_are_refused(fitted: Fit, tmp_path: Path) -> None:
    path = tmp_path / "fitted.json"
    good = orjson.loads(dump([kept(fitted)]))
    with pytest.raises(FittedError, match="cannot be read"):
        load(path)
    broken = [
        b"no json",
        b"[]",
        orjson.dumps({"form": FORM, "pairs": [{}]}),
        orjson.dumps({**good, "pairs": [{**good["pairs"][0], "weights": ""}]}),
        orjson.dumps({**good, "pairs": [{**good["pairs"][0], "groups": ["two words"]}]}),
        orjson.dumps({**good, "pairs": [{**good["pairs"][0], "candidate": "two words"}]}),
        orjson.dumps({**good, "pairs": [{**good["pairs"][0], "scales": [0.0] * 7}]}),
    ]
    for data in broken:
        path.write_bytes(data)
        with pytest.raises(FittedError, match="not one that routes fit wrote"):
            load(path)
    path.write_bytes(orjson.dumps({**good, "form": "tollgate-fitted-0"}))
    with pytest.raises(FittedError, match="another form"):
        load(path)
    with path.open("wb") as file:
        file.truncate(65 << 20)
    with pytest.raises(FittedError, match="too large"):
        load(path)


def test_a_curve_is_what_it_says() -> None:
    assert Curve(0.0, 1.0).probability(0.0) == 0.5
