"""The closed word lists of the synthetic world: values, syllables, second names. Plain data, nothing else.

Every value is one or two common words, so that each becomes one or two tokens, always after a space.
"""

COLOURS = tuple("red blue green black white grey brown pink orange purple yellow silver gold cream violet teal".split())
MATERIALS = tuple(
    "steel copper oak glass leather wool clay bamboo brass cotton marble rubber paper iron linen stone".split()
)
COMPANIES = tuple(
    "Acme Borealis Cobalt Delphi Everest Falcon Granite Horizon Indigo Juniper Keystone Lantern "
    "Meridian Nimbus Orchard Pioneer Quartz Ridgeway Summit Titan Umbra Vertex Willow Zenith".split()
)
COUNTRIES = tuple(
    "Norway Kenya Peru Japan Chile Ghana Malta Nepal Spain Egypt Brazil Canada Greece India Ireland Jordan "
    "Mexico Poland Sweden Turkey Finland Iceland Portugal Vietnam".split()
)
CITIES = tuple(
    "Oslo Lima Cairo Delhi Paris Quito Seoul Turin Vienna Zurich Athens Berlin Dublin Geneva Havana Kyoto "
    "Lisbon Madrid Nairobi Prague Riga Sofia Tunis Warsaw".split()
)
FIRST_NAMES = tuple(
    "Alice Boris Clara David Elena Frank Grace Henry Irene Jacob Karen Louis Maria Nathan Olivia Peter "
    "Rachel Simon Teresa Victor Wendy Xavier Yvonne Oscar".split()
)
MONTHS = tuple("January February March April May June July August September October November December".split())
DAYS = tuple("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())
JOBS = tuple(
    "baker farmer lawyer pilot nurse painter tailor teacher sailor miner banker dentist surgeon plumber "
    "barber chemist judge poet soldier weaver".split()
)
HOBBIES = tuple(
    "chess fishing sailing painting hiking cycling knitting rowing skating dancing singing reading juggling archery "
    "pottery fencing swimming gardening cooking boxing".split()
)
ANIMALS = tuple(
    "parrot tortoise rabbit ferret goat falcon lizard spaniel kitten pony donkey "
    "hamster canary lamb raven gecko".split()
)
DRINKS = tuple("tea coffee cider milk cocoa lemonade wine beer water juice soda mead".split())
INSTRUMENTS = tuple("violin piano flute cello harp guitar drums trumpet banjo organ clarinet oboe".split())
CROPS = tuple(
    "wheat barley rice apples olives grapes potatoes cherries lemons onions plums beans maize "
    "pears figs walnuts".split()
)
SECTORS = tuple(
    "fishing housing farming mining shipping banking schools hospitals roads forests taxes energy tourism trade".split()
)
OFFICES = tuple("senate mayor council ministry treasury parliament bishop governor court navy".split())
CLIMATES = tuple("mild harsh humid dry windy foggy rainy snowy sunny stormy".split())
DIRECTIONS = tuple("north south east west centre northeast southwest coast border interior".split())
VENUES = tuple("harbour castle stadium market museum library theatre bridge garden square temple airport".split())
CHANNELS = tuple("phone letter email radio telegram app fax website messenger hotline".split())
PRIZES = tuple("medal bicycle watch lantern painting horse carpet necklace tractor vase trophy telescope".split())

# Syllables of invented names: consonant-vowel-consonant, consonant-vowel, consonant-vowel-consonant. The tokenizer
# merges them in that order before anything else, so that a name is always three tokens and a second name.
ONSETS = tuple(
    "Bal Bex Cor Dal Dor Fen Gal Gor Hal Jor Kal Kel Lor Mal Mer Nar Nol Pel Ral Ros Sal Sel Tar Tol Val Vel "
    "Vor Wen Xan Yar Zel Zor Bik Dux Fim Guf Hib Jun Kip Lug".split()
)
MIDDLES = tuple(
    "ba be bi bo da de di do fa fe fi ga ge go ka ke ki ko la lo ma mi mo na no pa pi po ra ro sa si ta ti to va "
    "vi vo za zo".split()
)
CODAS = tuple(
    "bex dax del dim dor fax fin gan gor hex jin kan kes len lit lux mar mon nak nex nim pax qil ran rin rok "
    "sen san tal tan tor val van wic win xar yen zan zek zim".split()
)

SECOND_NAMES = {
    "product": "Lamp Kettle Chair Drill Clock Boat Camera Heater".split(),
    "policy": "Act Charter Pledge Code Treaty Decree Bill Accord".split(),
    "person": "Ashby Brook Carver Dunn Easton Frost Hale Keane Lowe Mercer Nash Parr Reed Stone Vance Wells".split(),
    "place": "Bay Hill Valley Lake Island Cove Ridge Fort".split(),
    "service": "Bank Clinic Line Studio Agency Laundry Cafe Garage".split(),
    "event": "Fair Race Concert Feast Parade Summit Gala Contest".split(),
}
