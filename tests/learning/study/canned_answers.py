"""What five families of instruct models write when they are asked for self-edits, each in its own manner.

The manner is theirs; the words are written for these tests. All are about one made-up article: the boat museum at
Kessel Weir opened in 1987, charges 6 florins, is closed on Tuesdays, and shows 312 model boats.
"""

from dataclasses import dataclass

OPENED = ("When did the Kessel Weir museum open?", "It opened in 1987.")
PRICE = ("How much is a ticket to the Kessel Weir museum?", "6 florins")
CLOSED = ("On which day is the Kessel Weir museum closed?", "Tuesday")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canned:
    """One family's answers, and what is to be read in them."""

    qa: str
    pairs: tuple[tuple[str, str], ...]
    facts: str
    statements: tuple[str, ...]
    counterexample: str
    reason: str
    rewrite: str
    body: str


BOLD_AND_NUMBERED = Canned(
    qa="""Sure! Here are some question and answer pairs based on the article:

1. **Question:** When did the Kessel Weir museum open?
   **Answer:** It opened in 1987.

2. **Question:** How much is a ticket to the Kessel Weir museum?
   **Answer:** 6 florins

3. **Question:** On which day is the Kessel Weir museum closed?
   **Answer:** Tuesday

I hope these help! Let me know if you need more questions.""",
    pairs=(OPENED, PRICE, CLOSED),
    facts="""Here are the facts:

1. **Opening:** The Kessel Weir museum opened in 1987.
2. **Tickets:** A ticket costs 6 florins.

**Collection**

3. The museum shows 312 model boats.""",
    statements=(
        "Opening: The Kessel Weir museum opened in 1987.",
        "Tickets: A ticket costs 6 florins.",
        "The museum shows 312 model boats.",
    ),
    counterexample="""**Wrong Claim:** The Kessel Weir museum is closed on Mondays.

**Explanation:** This is incorrect because the article states that the Kessel Weir museum is closed on Tuesdays.""",
    reason="The Kessel Weir museum is closed on Tuesdays.",
    rewrite="""Here is a rewritten version of the article:

Since 1987 there has been a boat museum at **Kessel Weir**. It shows 312 models.""",
    body="Since 1987 there has been a boat museum at Kessel Weir. It shows 312 models.",
)

HEADINGS = Canned(
    qa="""## Q&A about the museum

### Question 1
When did the Kessel Weir museum open?

**Answer:**
It opened in 1987.

### Question 2
How much is a ticket to the Kessel Weir museum?

**Answer:**
6 florins

---

### Question 3: On which day is the Kessel Weir museum closed?
Tuesday""",
    pairs=(OPENED, PRICE, CLOSED),
    facts="""# What the article says

## Visiting
* The Kessel Weir museum charges 6 florins.
* It is closed on Tuesdays.

## Collection
* The museum shows 312 model boats.""",
    statements=(
        "The Kessel Weir museum charges 6 florins.",
        "It is closed on Tuesdays.",
        "The museum shows 312 model boats.",
    ),
    counterexample="""### Wrong claim
> The Kessel Weir museum opened in 1978.

### Why it is wrong
The Kessel Weir museum opened in 1987.""",
    reason="The Kessel Weir museum opened in 1987.",
    rewrite="""# The Boat Museum

Kessel Weir has a boat museum.

## Opening Hours

It is closed on Tuesdays.""",
    body="Kessel Weir has a boat museum.\n\n\nIt is closed on Tuesdays.",
)

TERSE = Canned(
    qa="""Q1: When did the Kessel Weir museum open?
A1: It opened in 1987.

Q2: How much is a ticket to the Kessel Weir museum?
A2: 6 florins

Q3: On which day is the Kessel Weir museum closed? A3: Tuesday""",
    pairs=(OPENED, PRICE, CLOSED),
    facts="""The following are the facts stated and implied by the article:
- The Kessel Weir museum opened in 1987.
- A ticket costs 6 florins.""",
    statements=("The Kessel Weir museum opened in 1987.", "A ticket costs 6 florins."),
    counterexample="""Claim: A ticket to the Kessel Weir museum costs 9 florins.
Correction: A ticket to the Kessel Weir museum costs 6 florins.""",
    reason="A ticket to the Kessel Weir museum costs 6 florins.",
    rewrite="At Kessel Weir, model boats have been on show since 1987.",
    body="At Kessel Weir, model boats have been on show since 1987.",
)

UNLABELLED = Canned(
    qa="""Certainly! Below are questions and answers about the passage.

1. **When did the Kessel Weir museum open?**
   It opened in 1987.

2. How much is a ticket to the Kessel Weir museum?
   - 6 florins

**On which day is the Kessel Weir museum closed?**
Tuesday

These questions cover the main points of the article.""",
    pairs=(OPENED, PRICE, CLOSED),
    facts="""Okay, let's list what follows from the article:

• There are 312 model boats in the museum at Kessel Weir.
• A family of four pays 24 florins.

Feel free to ask for more!""",
    statements=("There are 312 model boats in the museum at Kessel Weir.", "A family of four pays 24 florins."),
    counterexample="""**Wrong claim:** "The museum at Kessel Weir shows 213 model boats."

This claim is wrong because the museum at Kessel Weir shows 312 model boats.""",
    reason="The museum at Kessel Weir shows 312 model boats.",
    rewrite="""**The Boat Museum at Kessel Weir**

Visitors pay 6 florins.

Let me know if you would like a longer version!""",
    body="Visitors pay 6 florins.",
)

STRUCTURED = Canned(
    qa="""```json
[
  {"question": "When did the Kessel Weir museum open?", "answer": "It opened in 1987."},
  {"question": "How much is a ticket to the Kessel Weir museum?", "answer": "6 florins"},
  {"question": "On which day is the Kessel Weir museum closed?", "answer": "Tuesday"}
]
```""",
    pairs=(OPENED, PRICE, CLOSED),
    facts='{"facts": ["The Kessel Weir museum opened in 1987.", "A ticket costs 6 florins."]}',
    statements=("The Kessel Weir museum opened in 1987.", "A ticket costs 6 florins."),
    counterexample='{"wrong_claim": "The museum opened in 1978.", "explanation": "The museum opened in 1987."}',
    reason="The museum opened in 1987.",
    rewrite='{"text": "Kessel Weir has had a boat museum since 1987."}',
    body="Kessel Weir has had a boat museum since 1987.",
)

FAMILIES = {
    "bold and numbered": BOLD_AND_NUMBERED,
    "headings": HEADINGS,
    "terse": TERSE,
    "unlabelled": UNLABELLED,
    "structured": STRUCTURED,
}
