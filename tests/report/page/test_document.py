"""The page: everything of the records on it and nothing hostile, self-contained, well formed, legible."""

import base64
import hashlib
import html
import html.parser
import itertools
import re
from collections import Counter
from typing import Any

import pytest
from ledger import CLAIMS, HOSTILE, SECTIONS, VERDICTS, document
from page_reader import Reader

from icl_theory.records.compare import compare
from icl_theory.report.page.document import page
from icl_theory.report.page.words import ORIGINS, VERDICT_SIGNS, title


@pytest.fixture(scope="module")
def text() -> str:
    return page(document())


@pytest.fixture(scope="module")
def read(text: str) -> Reader:
    return Reader(text)


def test_ledger() -> None:
    """The ledger is what it was made to be."""
    assert [claim["verdict"] for claim in document()["claims"]] == [str(verdict) for verdict in VERDICTS]


def test_every_claim_once(read: Reader) -> None:
    """Every claim is on the page once in order."""
    articles = read.all("article")
    assert [found["id"] for found, _ in articles] == [claim.label for claim in CLAIMS]
    assert [found["data-verdict"] for found, _ in articles] == [str(verdict) for verdict in VERDICTS]
    rows = [found for found, _ in read.all("tr") if "data-verdict" in found]
    names = ("data-verdict", "data-origin", "data-section")
    assert [[row[name] for name in names] for row in rows] == [[found[name] for name in names] for found, _ in articles]
    assert [row["data-section"] for row in rows] == list(SECTIONS)
    headings = [words for found, words in read.all("th") if found.get("scope") == "rowgroup"]
    assert [words.split(" ")[0] for words in headings] == ["The", "Related", "Claims"]
    assert [text for _, text in read.all("h3")] == [title(claim.label) for claim in CLAIMS]


def test_hostile_words(text: str, read: Reader) -> None:
    """Hostile words stay words."""
    assert len(read.all("script")) == 1
    assert not read.all("img")
    assert "window.hurt" not in read.all("script")[0][1]
    handlers = [name for _, found in read.elements for name in found if name.startswith("on")]
    assert handlers == []
    words = "".join(part for parts in read.texts[:1] for part in parts)
    assert words.count("window.hurt=1</script>") > 20  # they are shown as what they are
    assert HOSTILE not in text
    # The control: the same words put in without escaping are seen by the same test.
    assert len(Reader(text.replace("</main>", "<script>window.hurt=1</script></main>")).all("script")) == 2


def test_nothing_from_outside(text: str, read: Reader) -> None:
    addresses = [value for _, found in read.elements for key, value in found.items() if key in ("href", "src")]
    assert addresses
    labels = {f"#{claim.label}" for claim in CLAIMS}
    files = {"records.json", "records.csv", "counterexamples/fails.json"}
    assert set(addresses) == labels | files | {"#all-statements"}
    # The font of the formulas is part of the page; nothing else has an address.
    style, fonts = re.subn(r"url\(data:font/woff;base64,[A-Za-z0-9+/=]+\)", "", read.all("style")[0][1])
    assert fonts == 1
    assert not re.search(r"url\(|@import|//", style)
    without_words = re.sub(re.escape(html.escape(HOSTILE)), "", text)
    assert not re.search(r"https?:", without_words)


def test_content_policy(read: Reader) -> None:
    """The policy allows this style and this script only."""
    policy = str(read.all("meta", http_equiv="Content-Security-Policy")[0][0]["content"])
    assert policy.startswith("default-src 'none';")
    for name in ("style", "script"):
        digest = base64.b64encode(hashlib.sha256(read.all(name)[0][1].encode()).digest()).decode()
        assert f"{name}-src 'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    assert not [found for _, found in read.elements if "style" in found], "the policy forbids style attributes"


def test_structure(read: Reader) -> None:
    """Structure for readers of every kind."""
    ids = [found["id"] for _, found in read.elements if "id" in found]
    assert len(set(ids)) == len(ids)
    for _, found in read.elements:
        for name in ("aria-labelledby", "aria-describedby"):
            assert found.get(name) is None or found[name] in ids
    levels = [int(name[1]) for name, _ in read.elements if re.fullmatch("h[1-6]", name)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    pictures = [found for found, _ in read.all("svg")]
    assert all(
        (found.get("role") == "img" and found.get("aria-label")) or found.get("aria-hidden") for found in pictures
    )
    assert all(found.get("type") == "button" for found, _ in read.all("button"))
    assert all("scope" in found for found, _ in read.all("th"))
    assert len(read.all("main")) == 1
    assert read.all("html")[0][0]["lang"] == "en"


def test_no_mark_is_on_the_page(text: str) -> None:
    """The script has dollar signs of its own. The control: the records do have marks, in every text."""
    assert "$" not in re.sub("<script>.*?</script>", "", text, flags=re.DOTALL)
    for claim in document()["claims"][:2]:
        texts = (claim["statement"], claim["source"], claim["explanation"], claim["assumptions"][0]["sentence"])
        assert all("$" in words for words in texts)


def test_unpaired_marks() -> None:
    """Marks that are no pair and records without marks come out as text."""
    records = document()
    claim = records["claims"][0]
    claim |= {"statement": "costs $x more", "explanation": "ΔW = W_V S", "measures": "$", "source": "$a$ or $b"}
    claim["evidence"][0]["note"] = "from $5 to $6"
    whole = article(Reader(page(records)), claim["label"])
    for words in ("costs $x more", "ΔW = W_V S", "Measured: $", "a or $b", "from $5 to $6"):
        assert words in whole


def article(read: Reader, label: str) -> str:
    return read.all("article", id=label)[0][1]


def test_sheet(read: Reader) -> None:
    """A sheet says all that the record says."""
    whole = article(read, "equal")
    for words in (
        "C=N−bb(N−1)trS",
        "held in 6 of 6 cases",
        "FAILS, as it must",
        "x = x, so",
        "Run along with the check, and true.",
        "The statement holds if the measured value equals the predicted one.",
        "All 6 cases in numbers",
        "a source",
    ):
        assert re.sub(r"\s", "", words) in re.sub(r"[\s\u2060]", "", whole), words
    assert "broken in 6 of 6 cases" in article(read, "outside")
    marked = [text for _, text in read.all("b", class_="broken")]
    assert marked == ["broken in 6 of 6 cases", "Run along with the check, and FALSE."]
    assert "None, so that nothing shows" in article(read, "not_finite")
    assert "and FALSE" in article(read, "not_finite")
    assert "from foreign 1.0" in article(read, "not_finite")
    assert "not sound" in article(read, "not_finite")
    assert "Predicted: 500 in every case." in article(read, "fails")
    assert "in every case" not in article(read, "not_finite")  # predicted numbers of many sizes
    assert "None in symbols" in article(read, "fails")
    assert "it breaks the statement" in article(read, "fails")
    assert "icl-theory recheck counterexamples/fails.json" in article(read, "fails")
    assert "not caught, HOLDS where FAILS was due" in article(read, "never_seen")


def test_ledger_row(read: Reader) -> None:
    """A row of the ledger says the outcome."""
    rows = [text for found, text in read.all("tr") if "data-verdict" in found]
    for place, (row, claim) in enumerate(zip(rows, document()["claims"], strict=True), 1):
        caught = sum(control["caught"] for control in claim["controls"])
        assert row.startswith(f"{place}{title(claim['label'])} {ORIGINS[claim['origin']]}")
        assert VERDICT_SIGNS[claim["verdict"]][1] in row
        assert f"{caught}/{len(claim['controls'])} controls caught" in row
        assert article(read, claim["label"]).startswith(f"{place}{title(claim['label'])}")
    assert ["proved" in row for row in rows] == [True] + [False] * 7
    assert ["derivation FALSE" in row for row in rows] == [False] * 7 + [True]
    assert "false in 3/6 cases, 1.00×10⁵ > 500" in rows[1]
    assert f"{len(rows)} statements shown" in [text for _, text in read.all("p", role="status")]


def test_head_counts(read: Reader) -> None:
    """The head counts what there is."""
    caught = [control["caught"] for claim in document()["claims"] for control in claim["controls"]]
    facts = dict(zip(*([text for _, text in read.all(name)] for name in ("dt", "dd")), strict=True))
    assert facts["controls caught"] == f"{sum(caught)} of {len(caught)}"
    assert 0 < sum(caught) < len(caught)
    assert facts["derivations true"] == "1 of 2"
    assert facts["counterexamples kept"] == "1"
    assert facts["the run is"].startswith("not sound: ")
    assert "not_finite" in facts["the run is"]
    assert facts["seed of the run"] == "0"
    assert facts["jax"] == document()["environment"]["jax"]
    counts = [text for _, text in read.all("rect", height="10")]
    assert len(counts) == len(set(VERDICTS))
    widths = [float(str(found["width"])) for found, _ in read.all("rect", height="10")]
    assert sum(widths) == pytest.approx(1000)
    assert widths[0] == pytest.approx(1000 * 3 / 8)
    starts = [float(str(found["x"])) for found, _ in read.all("rect", height="10")]
    assert starts == pytest.approx([0, *itertools.accumulate(widths[:-1])], abs=0.02)


def test_filter_buttons(read: Reader) -> None:
    """Every value that occurs has a button with its count."""
    claims = document()["claims"]
    for kind, field in (("verdict", "verdict"), ("origin", "origin"), ("section", "section")):
        buttons = {found["data-value"]: text for found, text in read.all("button", data_kind=kind)}
        counts = Counter(claim[field] for claim in claims)
        assert {value: int(text.split()[-1]) for value, text in buttons.items()} == counts


def test_counterexample(text: str, read: Reader) -> None:
    """A counterexample breaks the statement and its matrices stand in rows."""
    words = article(read, "fails").split("Counterexample")[1]
    assert re.search(r"measured 100000 > 500\.000 predicted\.", words)
    rows = re.findall("<mtr>(.*?)</mtr>", text)
    assert [re.findall("<mn>(.*?)</mn>", row) for row in rows] == [["1", "−2"], ["0", "3"], ["5", "6"]]


def test_evidence_numbers(read: Reader) -> None:
    """Every number of the evidence is in the table."""
    for claim in document()["claims"]:
        whole = article(read, claim["label"])
        assert all(item["case"] in whole and str(item["seed"]) in whole for item in claim["evidence"])
    assert "HOLDS5.000001.00000" in article(read, "sampled")
    assert "40.00.100" in article(read, "sampled")  # slack in standard errors, and the standard error
    assert "exact" not in article(read, "sampled").split("in numbers")[1]
    assert article(read, "equal").split("in numbers")[1].count("exact") == 6


def test_masthead() -> None:
    """Of the ledger the undecided, the one that is not finite, and those with a control that was not caught."""
    records = document()
    unsound = [claim["label"] for claim in records["claims"] if not claim["sound"]]
    assert {"undecided", "not_finite"} < set(unsound) < {claim.label for claim in CLAIMS}
    assert f"not sound: {', '.join(unsound)} <" in re.sub("<[^>]*>", " <", page(records))
    for claim in records["claims"]:
        claim["sound"] = claim["label"] != "equal"
    assert "not sound: equal" in re.sub("<[^>]*>", " ", page(records))
    for claim in records["claims"]:
        claim["sound"] = True
    assert "not sound:" not in re.sub("<[^>]*>", " ", page(records))


def test_errors_are_placed() -> None:
    """The exception of a control beside its name, that of a derivation under its heading, and what a flip means."""
    records = document()
    first, second = records["claims"][:2]
    first |= {"proved": False, "proof_note": f"KeyError (x) at a.py:3 {HOSTILE}", "flip": "regression"}
    first["expected"] = "FAILS"
    second["controls"][0] |= {"verdict": "ERROR", "caught": False, "note": "RuntimeError (no) at b.py:7"}
    second |= {"flip": "changed", "expected": "HOLDS"}
    read = Reader(page(records))
    assert "Ended by KeyError (x) at a.py:3" in article(read, first["label"])
    assert "not caught, ERROR where FAILS was due; RuntimeError (no) at b.py:7" in article(read, second["label"])
    assert "known to be FAILS: a regression of this package" in article(read, first["label"])
    assert "known to be HOLDS: another finding than before" in article(read, second["label"])
    plain = article(Reader(page(document())), first["label"])
    assert "Ended by" not in plain
    assert "known to be" not in plain


def test_standard_errors() -> None:
    """The drawn limit, and the words under it, move with them."""
    six, three = (page(document() | {"standard_errors": z}) for z in (6.0, 3.0))
    assert six != three
    for text, own, other in ((six, "±6", "±3"), (three, "±3", "±6")):
        assert f"error bars of {own} standard errors" in text
        assert f"({own}; scale logarithmic" in text
        assert f"error bars of {other} standard errors" not in text
    figures = [re.findall("<svg.*?</svg>", text, re.DOTALL) for text in (six, three)]
    assert figures[0] != figures[1]


def luminance(colour: str) -> float:
    """Relative luminance of #rrggbb (WCAG 2.2)."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(one: str, other: str) -> float:
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_colour_contrast(read: Reader) -> None:
    """Every colour can be read on its ground."""
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    style = read.all("style")[0][1]
    schemes = re.findall(r":root \{([^}]*)\}", style)
    assert len(schemes) == 2
    for scheme in schemes:
        colours = dict(re.findall(r"--(\w+): (#[0-9a-f]{6})", scheme))
        names = {"ink", "soft", "accent", "holds", "fails", "vacuous", "outside", "inconclusive", "nonfinite"}
        assert names | {"paper", "raised", "rule"} == set(colours)
        for name in names:
            for ground in ("paper", "raised"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)


def earlier() -> dict[str, Any]:
    """Records of another run of the same ledger with something changed in every respect, and hostile words."""
    before = document()
    before["claims"][0]["verdict"] = HOSTILE
    before["claims"][1]["verdict"] = "HOLDS"
    before["claims"][1]["controls"][0]["caught"] = True
    before["claims"][7]["proved"] = True
    gone = before["claims"][2] | {"label": f"gone_{HOSTILE}", "verdict": "VACUOUS"}
    before["claims"] = [claim for claim in before["claims"] if claim["label"] != "undecided"] + [gone]
    before["environment"]["jax"] = f"0.0.1 {HOSTILE}"
    return before | {"seed": 7}


def test_changes() -> None:
    """What has changed since another run is on the page."""
    changes = compare(earlier(), document(), [claim.label for claim in CLAIMS])
    read = Reader(page(document(), changes))
    (text,) = [words for found, words in read.all("section") if found.get("id") == "changes"]
    text = text.replace("\N{NO-BREAK SPACE}", " ").replace("\N{WORD JOINER}", "")
    assert "2 verdicts changed, 4 claims the same" in text
    assert "Fails✓ holds✗ fails" in text
    assert f"Equal! {HOSTILE.lower()}✓ holds" in text
    assert f"Fails, “off by 1 % {HOSTILE}”: caught → not caught" in text
    assert "Not finite: true → FALSE" in text
    assert "Undecided ? inconclusive" in text.split("New")[1]
    assert f"{title(f'gone_{HOSTILE}')} ∅ vacuous" in text.split("No longer there")[1]
    assert "seed: 7 → 0" in text
    assert f"jax: 0.0.1 {HOSTILE} → {document()['environment']['jax']}" in text
    assert len(read.all("script")) == 1
    assert not read.all("img")
    leads = [found.get("href") for found, words in read.all("a") if words in ("Fails", "Equal", "Undecided")]
    assert set(leads) == {"#fails", "#equal", "#undecided"}
    assert not [found for found, _ in read.all("a") if "gone" in str(found.get("href"))]


def test_no_changes(text: str) -> None:
    """Without another run nothing is said of one."""
    assert "Since another run" not in text
    same = page(document(), compare(document(), document()))
    found = Reader(same)
    (section,) = [words for attributes, words in found.all("section") if attributes.get("id") == "changes"]
    assert section == "Since another run0 verdicts changed, 8 claims the same."


def test_empty_page() -> None:
    """An empty page is a page."""
    record: dict[str, Any] = document()
    record["claims"] = [record["claims"][5] | {"evidence": [], "cases": {}, "assumptions": [], "explanation": ""}]
    read = Reader(page(record))
    assert "No case has a number to draw." in article(read, "outside")
