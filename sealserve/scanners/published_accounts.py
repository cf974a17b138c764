"""Tells a bank account that an organisation gives for payments to it from one of a person.

Invoices, imprints and pages about fees and donations name the organisation's own account, so that everybody may know
it. Beside the number stands who is paid: a legal form, a public body, "our account"; or the text asks for a payment and
names a business by its register or tax number. A list of people with their accounts has none of that in its rows, and
words such as "salary", "refund" or "born" speak of a person.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import takewhile

_BEFORE, _AFTER = 240, 110
"""Characters of the account's own line that are looked at."""

_OURS_BEFORE = 90
"""Characters before the number in which "our account" outweighs whatever stands before it."""

_LINES_BEFORE, _LINES_AFTER, _MAX_BLOCK = 7, 4, 700
_MAX_HEADING = 90

_OURS = re.compile(
    r"(?i)\b(?:(?:our|the (?:club|company|school|association|charity|society|town|parish|foundation)(?:['’]s)?) "
    r"(?:business |bank(?:ing)? |company |club |current |donations? )?(?:account|iban|details)|donations? account|"
    r"unser(?:e|em|en|es)? (?:bank|geschäfts|vereins|spenden)?(?:konto|verbindung|iban)|spendenkonto|vereinskonto|"
    r"geschäftskonto|gemeindekonto|konto (?:des vereins|der (?:gemeinde|stadt|schule|firma))|"
    r"(?:notre|nos) (?:compte|iban|coordonnées)|nuestr[ao]s? (?:cuenta|iban|datos bancarios)|"
    r"(?:il nostro|sul nostro) (?:conto|iban)|nostr[oe] (?:conto|coordinate)|onze (?:bank)?(?:rekening|iban)|"
    r"ons (?:rekeningnummer|iban)|(?:a nossa|nossa) conta|nasz(?:ego|e|ym)? (?:konto|rachun\w+)|vårt (?:bank)?konto|"
    r"vores (?:bank)?konto|vår konto|tilimme|náš účet|hesabımız)\b"
)
_ORGANISATION = re.compile(
    r"\b(?:Ltd|LTD|Limited|PLC|plc|LLP|LLC|Inc|Corp|GmbH|mbH|gGmbH|AG|KG|OHG|UG|GbR|SE|eG|SARL|SAS|SASU|EURL|SCOP|SpA|"
    r"Srl|SRL|BV|NV|ApS|Oyj?|Kft|Zrt|SIA|UAB|Ltda|Lda|GesmbH|ASBL|VZW|d\.o\.o|s\.r\.o|sp\. z o\.o|A/S|a\.s)\b|"
    r"\b(?:e\. ?V|S\.A|S\.L(?:\.U)?|S\.r\.l|S\.p\.A|S\.n\.c|S\.a\.s|B\.V|N\.V|S\.A\.R\.L|S\.A\.S)\.|"
    r"(?i:\b(?:company|association|foundation|charity|trust|society|federation|council|ministry|treasury|municipality|"
    r"university|college|academy|school|nursery|kindergarten|church|parish|monastery|library|museum|theatre|hospital|"
    r"clinic|club|union|cooperative|publishers?|branch|supplier|vendor|beneficiary company|"
    r"\w*(?:verein|verband|stiftung|genossenschaft|gesellschaft|stadtkasse|gemeindekasse|kreiskasse|landeskasse|"
    r"hauptkasse|bundeskasse|stadtwerke|gemeinde|finanzamt|universität|hochschule|schule|kindertagesstätte|kirche|"
    r"pfarrei|kloster|bücherei|museum|klinik|krankenhaus|gewerkschaft|kammer|verlag|vereniging|stichting|vakbond|"
    r"gasthof|hotel|restaurant|praxis|apotheke|werkstatt|bäckerei|brauerei|agentur|betriebe?|förening|stiftelse|"
    r"kommun|forening)(?:e?s|en)?|"
    r"hotel|inn|bakery|brewery|pharmacy|studio|agency|shop|store|institute|centre|center|pcc|parochial|hôtel|auberge|"
    r"boulangerie|pharmacie|cabinet|atelier|restaurante|taller|librería|albergo|ristorante|farmacia|officina|winkel|"
    r"filiale|firma|lieferant|gläubiger|association|fondation|mairie|commune|trésor public|école|université|paroisse|"
    r"syndicat|fournisseur|succursale|asociación|fundación|ayuntamiento|colegio|universidad|parroquia|proveedor|"
    r"sucursal|associazione|fondazione|comune|scuola|università|parrocchia|fornitore|associação|fundação|câmara|"
    r"escola|universidade|stowarzyszenie|fundacja|gmina|szkoła|uniwersytet|"
    r"yhdistys|säätiö|kunta|spolek|nadace|obec|derneği|vakfı|belediyesi)\b)|"
    r"(?:株式会社|有限会社|公司|协会|協会)"
)
_PAYMENT = re.compile(
    r"(?i)\b(?:bank(?:ing)? details|wire (?:transfer|instructions)|bank transfer|standing order|payable|pay(?:ment)?s?|"
    r"transfer|remit|settle|deposit|donations?|fees?|dues|bankverbindung|bankdaten|zahl(?:bar|en|ung)\w*|"
    r"überweis\w*|spenden?|gebühr\w*|rechnungsbetrag|beitrag|virements?|règlement|coordonnées bancaires|dons?|"
    r"transferencia|forma de pago|abon[ae]\w*|ingres[ao]\w*|donativos?|bonifico|coordinate bancarie|versa\w*|"
    r"donazion\w*|overma\w*|overschrijv\w*|betal\w*|transferência|pagamento|donativos?|przelew\w*|płatnoś\w*|"
    r"wpłat\w*|betalning|inbetalning|överför\w*|indbetal\w*|overfør\w*|maksu|tilisiirto|platb\w*|ödeme|havale)\b"
)
_REFERENCE = re.compile(
    r"(?i)\b(?:your (?:order|invoice|booking|customer|membership|contract|reservation) (?:number|no)|"
    r"ihre? (?:bestell|rechnungs|kunden|buchungs|vertrags|mitglieds)nummer|votre numéro de (?:commande|facture|client)|"
    r"(?:su|tu) número de (?:pedido|factura|cliente)|il (?:suo |tuo )?numero d(?:'|i )(?:ordine|fattura)|"
    r"(?:uw|je) (?:bestel|factuur|klant)nummer|seu número de (?:pedido|encomenda|fatura))\b"
)
"""What a payer is asked to write beside the payment: the account is the one that all who order pay to."""

_BUSINESS = re.compile(
    r"\b(?:HRB|HRA|SIRET|SIREN|CIF|NIF|KVK|KvK|VAT|TVA|UID|USt-?Id\w*|Ust-?Id\w*|CVR|REGON|KRS|RCS|EORI|DUNS|EIN|"
    r"P\. ?IVA|BTW|IČO|DIČ|NIP|Y-tunnus)\b|"
    r"(?i:\b(?:company (?:no|number|registration)|registered (?:in|office|charity)|charity (?:no|number)|"
    r"vat (?:no|number|id)|umsatzsteuer-?id\w*|steuernummer|registergericht|amtsgericht|impressum|imprint|"
    r"partita iva|numéro de tva|org\.? ?(?:no|nr)|invoice (?:no|number)|rechnungsnummer|rechnung nr)\b)"
)
_PERSON = re.compile(
    r"(?i)\b(?:salar(?:y|ies)|wages?|payroll|payslip|refund\w*|reimburs\w*|expenses|private|personal|my|his|her|their|"
    r"your (?:bank )?account|receives|gets|erhält|bekommt|zahlt an|reçoit|recibe|riceve|ontvangt|"
    r"mr|mrs|ms|miss|born|date of birth|dob|passport|"
    r"(?:employee|patient|member|tenant|guest|donor|customer|client|volunteer|student|pupil|trainer|applicant)s?"
    r"(?!['’]s? (?:name|number))|"
    r"(?:(?<!account )(?<!company )(?<!business )name|(?:sur|vor|nach)name|nom|nombre|nome|naam|imię|namn|navn)"
    r"(?=[ ]*[:|])|"
    r"gehalt|lohn|erstattung\w*|auslagen|privat\w*|mein(?:e[mnrs]?)?|dein\w*|ihr konto|ihrem konto|frau|herrn?|geb|"
    r"geboren\w*|geburtsdatum|mitarbeiter(?:in|innen)?|mitglied(?:er)?|mieter\w*|kund(?:e|in|en)|patient(?:in|en)?|"
    r"ehrenamtliche\w*|schüler\w*|mme|monsieur|madame|salaire|remboursements?|né le|née le|client[es]*|adhérents?|"
    r"locataire|mon compte|sra|srta|nómina|salario|reembolso\w*|nacid[oa]|emplead[oa]s?|soci[oa]s?|mi cuenta|"
    r"stipendio|rimborso|nat[oa] il|dipendente|cliente|soci[oie]?|dhr|mevr|salaris|terugbetaling\w*|werknemers?|leden|"
    r"huurder|senhor|senhora|funcionári[oa]|wynagrodzenie|zwrot|pracownik\w*|członk\w*|lön|anställd\w*|"
    r"medlem(?:mar|mer)?|løn|ansat\w*)(?!\w)"
)
_HOLDER = re.compile(r"(?i)\b(?:account holder|holder|kontoinhaber(?:in)?|titulaire|titular|intestatari[oa])\b")
_NAMELESS = re.compile(
    r"(?i:\b(?:iban|bic|swift(?:-bic)?|account|number|no|nr|konto|kontonummer|blz|sort code|currency|eur|usd|gbp|chf|"
    r"pln|euros?|and|or|und|oder|et|ou|at|bei|in|for|für|from|aus|abroad|payments?|country|code)\b)|"
    r"\b[A-Z]{6}[A-Z0-9]{2}(?:[A-Z0-9]{3})?\b|"
    r"(?i:\b(?:(?:deutsche|first|national|royal|société|erste|bnp|ing|lloyds|intesa|unicredit)\b ?)+)|"
    r"(?i:\b\w{0,20}(?:bank|sparkasse|kasse|banco|banca|banque|caixa|crédit)\b)(?: [A-ZÄÖÜ][\w-]{1,20})?"
)
"""What a line about an account says without naming whose it is: labels, a code, a bank and its town."""

_IBAN = re.compile(r"\b[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?\b")
_SENTENCE_END = re.compile(r"(?:^|[^\W\d_]{3})[.!?] (?=[A-ZÄÖÜÅÉŁ])")
_LETTERS = re.compile(r"[^\W\d_]{2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surroundings:
    """The words around an account: in its sentence, up to other accounts; elsewhere in its block; in the heading."""

    before: str
    after: str
    others: tuple[str, ...]
    heading: str

    @property
    def line(self) -> str:
        """Its own line, without the number."""
        return f"{self.before} {self.after}"

    @property
    def block(self) -> str:
        """All but its own line and the heading."""
        return "\n".join(self.others)


def is_published(text: str, span: tuple[int, int], *, is_business: bool) -> bool:
    """Return whether the account at `span` is one that an organisation gives for payments to it.

    `is_business` is what `names_a_business` says of the text.
    """
    around = _surroundings(text, span)
    near = around.before[-_OURS_BEFORE:]
    ours = list(_OURS.finditer(near))
    if ours:
        return not _PERSON.search(f"{near[ours[-1].end() :]} {around.after}")
    is_named = _ORGANISATION.search(around.line) is not None
    if _PERSON.search(around.line) or (_HOLDER.search(around.line) and not is_named):
        return False
    if any(_IBAN.search(line) for line in around.others):  # a list: each of its accounts has to say whose it is
        return is_named or (_is_nameless(around.line) and _is_owned(around, is_business=is_business))
    return is_named or _is_owned(around, is_business=is_business)


def names_a_business(text: str) -> bool:
    """Return whether the text names a business by its register, its tax number or as the one that issues an invoice."""
    return _BUSINESS.search(text) is not None


def _is_owned(around: _Surroundings, *, is_business: bool) -> bool:
    """Whether the block or its heading says that an organisation is paid, and neither speaks of a person."""
    if _PERSON.search(around.block):
        return False
    if _ORGANISATION.search(around.block):
        return True
    words = f"{around.heading}\n{around.block}\n{around.line}"
    if _PERSON.search(around.heading) or _HOLDER.search(around.block):
        return False
    if _OURS.search(words) or _REFERENCE.search(words):
        return True
    return is_business and _PAYMENT.search(words) is not None


def _is_nameless(line: str) -> bool:
    """Whether nothing on the line could be a name."""
    return _LETTERS.search(_NAMELESS.sub(" ", line)) is None


def _surroundings(text: str, span: tuple[int, int]) -> _Surroundings:
    above = text[max(0, span[0] - _MAX_BLOCK) : span[0]].split("\n")
    below = text[span[1] : span[1] + _MAX_BLOCK].split("\n")
    own_block = _until_blank(reversed(above[:-1]))
    rest = above[: max(0, len(above) - 1 - len(own_block))]
    titles = [line for line in rest if line.strip()][-1:]
    before, after = above[-1][-_BEFORE:], below[0][:_AFTER]
    earlier, later = list(_IBAN.finditer(before))[-1:], _IBAN.search(after)
    start, end = earlier[0].end() if earlier else 0, later.start() if later else len(after)
    sentence = [found.end() for found in _SENTENCE_END.finditer(before)][-1:]
    stop = _SENTENCE_END.search(after)
    others = (*reversed(own_block[:_LINES_BEFORE]), *_until_blank(below[1:])[:_LINES_AFTER])
    return _Surroundings(
        before=before[max(start, *sentence, 0) :],
        after=after[: min(end, stop.end()) if stop else end],
        others=(*others, *filter(None, (before[:start], after[end:]))),
        heading=titles[0] if titles and len(titles[0]) <= _MAX_HEADING else "",
    )


def _until_blank(lines: Iterable[str]) -> list[str]:
    return list(takewhile(str.strip, lines))
