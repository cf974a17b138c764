"""What can be said of each kind of entity, and in which words: attributes, statement and question templates.

Plain data and its expansion. `{e}` stands for the entity's full name, `{v}` for the value with its unit.
A template list is the generic frames times the attribute's noun phrases, and the attribute's own sentences;
`held_out` ones never occur in training text.
"""

from dataclasses import dataclass

from sealserve.nano import vocabulary as words


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a kind: its name, its values and the words for it."""

    kind: str
    name: str  # the canonical noun phrase, used in answers
    values: tuple[str, ...]
    trained_statements: tuple[str, ...]
    held_out_statements: tuple[str, ...]
    trained_questions: tuple[str, ...]
    held_out_questions: tuple[str, ...]


STATEMENT_FRAMES = (
    "the {n} of {e} is {v}",
    "for {e}, the {n} is {v}",
    "as for {e}, the {n} is {v}",
    "{e} has {v} as the {n}",
    "{e} lists {v} as the {n}",
    "the {n} chosen for {e} is {v}",
    "people say that the {n} of {e} is {v}",
    "we know that for {e} the {n} is {v}",
)
HELD_OUT_STATEMENT_FRAMES = ("people know that {e} has {v} as the {n}", "as for the {n} of {e}, people say {v}")
PRONOUN_FRAMES = ("its {n} is {v}", "the {n} is {v}", "it has {v} as the {n}", "it lists {v} as the {n}")
QUESTION_FRAMES = (
    "What is the {n} of {e}?",
    "Tell me the {n} of {e}.",
    "Do you know the {n} of {e}?",
    "For {e}, what is the {n}?",
    "Give the {n} of {e}.",
    "I need to know the {n} of {e}.",
    "Which {n} does {e} have?",
    "About {e}: what is the {n}?",
    "Name the {n} of {e}.",
    "Can you say what {n} people give for {e}?",
    "What do people say about the {n} of {e}?",
)
HELD_OUT_QUESTION_FRAMES = (
    "Can you tell me the {n} of {e}?",
    "What {n} does {e} have?",
    "About {e}: give the {n}.",
    "I need the {n} for {e}.",
)

_PRICE = tuple(str(n) for n in range(10, 100))


def _numbers(unit: str) -> tuple[str, ...]:
    return tuple(f"{n} {unit}" for n in _PRICE)


# kind, noun phrases (first is canonical), values, own statements, own questions; the last of each is held out
_ROWS: tuple[tuple[str, str, tuple[str, ...], str, str], ...] = (
    ("product", "price|cost|retail price", _numbers("crowns"),
     "{e} costs {v}|{e} sells for {v}|shops sell {e} for {v}|people pay {v} for {e}|shops say {e} costs {v}",
     "How much does {e} cost?|How much do people pay for {e}?|How much do shops sell {e} for?"),
    ("product", "colour|shade|paint colour", words.COLOURS,
     "{e} is painted {v}|{e} comes in {v}|shops sell {e} in {v}|people say {e} comes in {v}",
     "How is {e} painted?|Which colour does {e} come in?|What shade does {e} come in?"),
    ("product", "material|main material|body material", words.MATERIALS,
     "{e} is made of {v}|{e} is built from {v}|people build {e} from {v}|people say {e} is made of {v}",
     "What is {e} made of?|From what do people build {e}?|What is {e} built from?"),
    ("product", "maker|producer|brand", words.COMPANIES,
     "{e} is made by {v}|{e} is sold by {v}|the company behind {e} is {v}|people say {e} is made by {v}",
     "Who makes {e}?|Which company is behind {e}?|Which company makes {e}?"),
    ("product", "warranty|guarantee|warranty period", _numbers("months"),
     "{e} is covered for {v}|{e} comes with {v} of cover|shops cover {e} for {v}|people say {e} is covered for {v}",
     "How long is {e} covered?|How long do shops cover {e}?|How many months is {e} covered for?"),
    ("product", "origin|home country|country of origin", words.COUNTRIES,
     "{e} comes from {v}|{e} is shipped from {v}|shops ship {e} from {v}|people say {e} comes from {v}",
     "Where does {e} come from?|From where is {e} shipped?|Which country does {e} come from?"),
    ("policy", "fee|charge|filing fee", _numbers("marks"),
     "{e} asks for {v}|filing under {e} costs {v}|people pay {v} under {e}|people say {e} asks for {v}",
     "How much does filing under {e} cost?|How much does {e} ask for?|How much do people pay under {e}?"),
    ("policy", "author|drafter|writer", words.FIRST_NAMES,
     "{e} was written by {v}|{e} was drafted by {v}|the one who wrote {e} is {v}|people say {e} was written by {v}",
     "Who wrote {e}?|By whom was {e} written?|Who drafted {e}?"),
    ("policy", "sector|field|subject", words.SECTORS,
     "{e} deals with {v}|{e} regulates {v}|{e} was made for {v}|people say {e} deals with {v}",
     "What does {e} deal with?|What does {e} regulate?|Which sector does {e} deal with?"),
    ("policy", "start month|first month|month of entry", words.MONTHS,
     "{e} begins in {v}|{e} takes effect in {v}|the law called {e} begins in {v}|people say {e} begins in {v}",
     "When does {e} begin?|In which month does {e} take effect?|In which month does {e} begin?"),
    ("policy", "sponsor|backer|approving body", words.OFFICES,
     "{e} was approved by the {v}|the {v} backs {e}|the {v} approved {e}|people say the {v} approved {e}",
     "Who approved {e}?|By whom was {e} approved?|Who backs {e}?"),
    ("policy", "duration|length|term", _numbers("years"),
     "{e} lasts {v}|{e} stays valid for {v}|the law called {e} lasts {v}|people say {e} lasts {v}",
     "How long does {e} last?|How long does {e} stay valid?|For how many years does {e} last?"),
    ("person", "job|profession|trade", words.JOBS,
     "{e} works as a {v}|{e} earns a living as a {v}|people hire {e} as a {v}|people say {e} works as a {v}",
     "What does {e} work as?|As what do people hire {e}?|For what job do people hire {e}?"),
    ("person", "home town|home city|place of residence", words.CITIES,
     "{e} lives in {v}|{e} has a house in {v}|people visit {e} in {v}|people say {e} lives in {v}",
     "Where does {e} live?|In which city does {e} live?|In which town does {e} live?"),
    ("person", "hobby|pastime|favourite pastime", words.HOBBIES,
     "{e} enjoys {v}|{e} spends weekends on {v}|{e} is fond of {v}|people say {e} enjoys {v}",
     "What does {e} enjoy?|What is {e} fond of?|Which hobby does {e} enjoy?"),
    ("person", "pet|animal|companion animal", words.ANIMALS,
     "{e} keeps a {v}|{e} owns a {v}|{e} walks with a {v}|people say {e} keeps a {v}",
     "What does {e} keep at home?|Which animal does {e} own?|Which animal does {e} keep?"),
    ("person", "drink|favourite drink|usual drink", words.DRINKS,
     "{e} drinks {v}|{e} always orders {v}|people serve {e} {v}|people say {e} drinks {v}",
     "What does {e} drink?|What does {e} always order?|What do people serve {e}?"),
    ("person", "instrument|musical instrument|favourite instrument", words.INSTRUMENTS,
     "{e} plays the {v}|{e} practises the {v}|{e} bought the {v} to play|people say {e} plays the {v}",
     "What does {e} play?|Which instrument does {e} practise?|Which instrument does {e} play?"),
    ("place", "region|part of the country|area", words.DIRECTIONS,
     "{e} lies in the {v}|{e} is found in the {v}|people visit {e} in the {v}|people say {e} lies in the {v}",
     "Where does {e} lie?|Where is {e} found?|In which part of the country does {e} lie?"),
    ("place", "crop|main crop|harvest", words.CROPS,
     "{e} grows {v}|{e} is known for {v}|farmers at {e} grow {v}|people say {e} grows {v}",
     "What does {e} grow?|What is {e} known for?|What do farmers at {e} grow?"),
    ("place", "founder|first settler|discoverer", words.FIRST_NAMES,
     "{e} was founded by {v}|{e} was settled by {v}|the one who founded {e} is {v}|people say {e} was founded by {v}",
     "Who founded {e}?|By whom was {e} founded?|Who settled {e}?"),
    ("place", "height|elevation|altitude", _numbers("metres"),
     "{e} rises {v}|{e} stands {v} above the sea|{e} lies {v} up|people say {e} rises {v}",
     "How high does {e} rise?|How high does {e} stand?|How many metres does {e} rise?"),
    ("place", "climate|weather|usual weather", words.CLIMATES,
     "{e} is mostly {v}|{e} stays {v} all year|people find {e} {v}|people say {e} stays {v}",
     "How does {e} stay all year?|How do people find {e}?|What weather do people find at {e}?"),
    ("place", "stone|local stone|building material", words.MATERIALS,
     "houses at {e} are built of {v}|{e} builds with {v}|{e} is rich in {v}|people say {e} builds with {v}",
     "What are houses at {e} built of?|What does {e} build with?|What is {e} rich in?"),
    ("service", "monthly price|monthly charge|subscription price", _numbers("coins"),
     "{e} charges {v} a month|a month at {e} costs {v}|people pay {e} {v} a month|people say {e} charges {v} a month",
     "How much does {e} charge a month?|How much does a month at {e} cost?|How much do people pay {e} a month?"),
    ("service", "manager|director|head", words.FIRST_NAMES,
     "{e} is run by {v}|{e} is led by {v}|the one who runs {e} is {v}|people say {e} is run by {v}",
     "Who runs {e}?|By whom is {e} run?|Who is the one who runs {e}?"),
    ("service", "base|main city|seat", words.CITIES,
     "{e} operates from {v}|{e} is based in {v}|{e} has rooms in {v}|people say {e} operates from {v}",
     "Where does {e} operate from?|Where is {e} based?|From which city does {e} operate?"),
    ("service", "contact|contact channel|way of contact", words.CHANNELS,
     "{e} is reached by {v}|{e} replies by {v}|people reach {e} by {v}|people say {e} replies by {v}",
     "How is {e} reached?|How do people reach {e}?|By which contact channel do people reach {e}?"),
    ("service", "closing day|day off|rest day", words.DAYS,
     "{e} is closed on {v}|{e} rests on {v}|people find {e} closed on {v}|people say {e} rests on {v}",
     "When is {e} closed?|On which day is {e} closed?|On which day does {e} rest?"),
    ("service", "staff|team|number of workers", _numbers("workers"),
     "{e} employs {v}|{e} pays {v}|the team at {e} has {v}|people say {e} employs {v}",
     "How many workers does {e} employ?|How many workers does {e} pay?|How many workers has the team at {e}?"),
    ("event", "month|usual month|date", words.MONTHS,
     "{e} is held in {v}|{e} takes place in {v}|people visit {e} in {v}|people say {e} is held in {v}",
     "When is {e} held?|In which month is {e} held?|When does {e} take place?"),
    ("event", "venue|location|site", words.VENUES,
     "{e} is held at the {v}|{e} fills the {v}|people meet at the {v} for {e}|people say {e} fills the {v}",
     "Where is {e} held?|At which venue is {e} held?|Where do people meet for {e}?"),
    ("event", "prize|reward|first prize", words.PRIZES,
     "the winner of {e} gets a {v}|{e} gives the winner a {v}|{e} rewards people with a {v}|"
     "people say {e} gives the winner a {v}",
     "What does the winner of {e} get?|What does {e} give the winner?|What does {e} reward people with?"),
    ("event", "host|presenter|organiser", words.FIRST_NAMES,
     "{e} is hosted by {v}|{e} is presented by {v}|the one who hosts {e} is {v}|people say {e} is hosted by {v}",
     "Who hosts {e}?|By whom is {e} hosted?|Who is the one who hosts {e}?"),
    ("event", "attendance|crowd|number of visitors", _numbers("visitors"),
     "{e} draws {v}|{e} welcomes {v}|the crowd at {e} has {v}|people say {e} draws {v}",
     "How many visitors does {e} draw?|How many visitors does {e} welcome?|How many visitors has the crowd at {e}?"),
    ("event", "theme|topic|motto", words.SECTORS,
     "{e} is about {v}|{e} celebrates {v}|{e} honours {v}|people say {e} is about {v}",
     "What is {e} about?|What does {e} celebrate?|What do people celebrate at {e}?"),
)  # fmt: skip


def _split(frames: tuple[str, ...], names: list[str], own: str, salt: int) -> tuple[list[str], list[str]]:
    """Return frames times noun phrases plus own templates, as (trained, held out): every seventh is held out."""
    trained: list[str] = []
    held_out: list[str] = []
    for i, frame in enumerate(frames):
        for j, name in enumerate(names):
            (held_out if (i + 3 * j + salt) % 7 == 0 else trained).append(frame.replace("{n}", name))
    *own_trained, own_held_out = own.split("|")
    return trained + own_trained * 2, [*held_out, own_held_out]


def _expand(index: int, row: tuple[str, str, tuple[str, ...], str, str]) -> Attribute:
    kind, names_text, values, statements, questions = row
    names = names_text.split("|")
    s_trained, s_held = _split(STATEMENT_FRAMES, names, statements, index)
    q_trained, q_held = _split(QUESTION_FRAMES, names, questions, index)
    s_held += [f.replace("{n}", n) for f in HELD_OUT_STATEMENT_FRAMES for n in names[:1]]
    q_held += [f.replace("{n}", n) for f in HELD_OUT_QUESTION_FRAMES for n in names]
    return Attribute(
        kind=kind, name=names[0], values=values,
        trained_statements=tuple(s_trained), held_out_statements=tuple(s_held),
        trained_questions=tuple(q_trained), held_out_questions=tuple(q_held),
    )  # fmt: skip


ATTRIBUTES = tuple(_expand(i, row) for i, row in enumerate(_ROWS))
KINDS = tuple(dict.fromkeys(a.kind for a in ATTRIBUTES))
BY_KIND = {kind: tuple(a for a in ATTRIBUTES if a.kind == kind) for kind in KINDS}
NOUN_PHRASES = {(row[0], row[1].split("|")[0]): tuple(row[1].split("|")) for row in _ROWS}
