"""An organisation's own bank account is told from a person's, and numbers of orders from those of cards."""

import pytest

from sealserve.scanners.findings import Finding, findings_in

GERMAN, OTHER_GERMAN = "DE89 3704 0044 0532 0130 00", "DE02 1203 0000 0000 2020 51"
AUSTRIAN, DUTCH, BRITISH, FRENCH = (
    "AT61 1904 3002 3457 3201", "NL91 ABNA 0417 1643 00", "GB29 NWBK 6016 1331 9268 19",
    "FR14 2004 1010 0505 0001 3M02 606",
)  # fmt: skip


def accounts(text: str) -> tuple[int, int]:
    """Return how many accounts of persons and of organisations are found."""
    found = {kind.value: n for kind, n in findings_in(text).items()}
    return found["iban"], found["published_account"]


@pytest.mark.parametrize(
    "text",
    [
        f"Please pay within ten days to Corvel Lamps Ltd, IBAN {BRITISH}.",
        f"Invoice no. 17\nVAT GB 123 4567 89\n\nPayment by bank transfer:\nIBAN {BRITISH}\nBIC NWBKGB2L",
        f"Zahlbar ohne Abzug.\nBankverbindung: Sparkasse Jena, IBAN {GERMAN}\nUSt-IdNr. DE123456789, HRB 1187",
        f"Spendenkonto\nTierheim Jena\nIBAN: {GERMAN}\nBIC: HELADEF1JEN",
        f"Kleingartenverein Sonnenhang e. V.\nIBAN: {GERMAN}\nBIC: HELADEF1JEN",
        f"| | |\n|---|---|\n| Recipient | Stadtkasse Jena |\n| IBAN | {GERMAN} |\n| BIC | HELADEF1JEN |",
        f"Transfer the fee to our account {DUTCH} and give your order number.",
        f"We refund to the account from which you paid. Our account: {DUTCH}.",
        f"TVA FR 40 812334556\n\nRèglement par virement sous 30 jours :\nIBAN {FRENCH}",
        f"Notre compte : {FRENCH} (Boulangerie du Quai SARL)",
        f"Empfänger: Stadtwerke Graz\nBank: Raiffeisenbank Graz\nIBAN: {AUSTRIAN}",
        f"Bank details of the Corvel Foundation:\nVolksbank Jena: {GERMAN}\nDeutsche Bank: {OTHER_GERMAN}",
        f"Transfer to the Corvel Foundation: {GERMAN} or {OTHER_GERMAN}.",
        f"branch: Corvel Köln\niban: {GERMAN}\n\nbranch: Corvel Bonn\niban: {OTHER_GERMAN}",
        f"Use these details:\n\n- Recipient: Hedgehog Toys\n- IBAN: {DUTCH}\n- Reference: your order number",
        f"The fee is 60 euros for students. Pay it here:\n\nIBAN: {GERMAN}\nAccount holder: Universität Marburg",
        f"Überweisen Sie 30 Prozent auf das Konto des Gasthofs Zur Linde, IBAN {AUSTRIAN}.",
        f"Avgiften betalas till Skärgårdens Roddförening, {DUTCH}.",
        f"Pay the Albergo Stella S.n.c., {AUSTRIAN}, with your surname and date of arrival.",
        f"Pay Corvel Music School, IBAN {BRITISH}. Put the pupil's name in the reference.",
        f"Kontoinhaber: Turnverein 1848 e. V.\nIBAN: {GERMAN}",
    ],
)
def test_an_organisations_own_account_is_no_personal_data(text: str) -> None:
    persons, organisations = accounts(text)
    assert (persons, organisations > 0) == (0, True)


@pytest.mark.parametrize(
    "text",
    [
        f"Transfer to {GERMAN}.",
        f"Anna Becker, {GERMAN}, 120 EUR\nJonas Weber, {OTHER_GERMAN}, 80 EUR",
        f"| Member | IBAN |\n|---|---|\n| Anna Becker | {GERMAN} |\n| Jonas Weber | {OTHER_GERMAN} |",
        f"Name: Anna Becker\nOrt: Jena\nIBAN: {GERMAN}\nBIC: HELADEF1JEN",
        f"From December please pay my salary to {GERMAN}.",
        f"Corvel Lamps GmbH\n\nWages in May\n\nAnna Becker {GERMAN}\nJonas Weber {OTHER_GERMAN}",
        f"Unsere Bankverbindung: {AUSTRIAN}\n\nEinzüge im Mai:\nAnna Becker, {GERMAN}\nJonas Weber, {OTHER_GERMAN}",
        f"Members of the Sunnyside Rowing Club:\nAnna Becker, {GERMAN}\nJonas Weber, {OTHER_GERMAN}",
        f"Erstattung an Frau Becker vom Turnverein, IBAN {GERMAN}",
        f"Our account {DUTCH} is empty; his is {GERMAN}.",
        f"Kontoinhaber: Anna Becker\nIBAN: {GERMAN}",
        f"Invoice no. 17\nVAT GB 123 4567 89\n\nWe refund Anna Becker by bank transfer to {GERMAN}.",
        f"Anna gave 20 euros from {GERMAN}, Jonas 30 from {OTHER_GERMAN}.",
        f"Minutes of the rowing club. The coach, Otto Lind, is paid to {GERMAN}. The club thanks him.",
        f"The Turnverein pays Anna {GERMAN} and Jonas {OTHER_GERMAN}.",
        f"Remboursement à Mme Dubois : {FRENCH}",
        f"Anna Becker\n{GERMAN}\n\nJonas Weber\n{OTHER_GERMAN}\n\nCorvel School\n{DUTCH}",
    ],
)
def test_a_persons_account_is_personal_data(text: str) -> None:
    assert accounts(text)[0] >= 1


def test_each_account_of_a_document_is_judged_by_its_own_line() -> None:
    text = f"Unsere Bankverbindung: {AUSTRIAN}\n\nEinzüge im Mai:\nAnna Becker, {GERMAN}\nJonas Weber, {OTHER_GERMAN}"
    assert accounts(text) == (2, 1)


@pytest.mark.parametrize("label", ["Customer number", "Order no.", "Sendungsnummer", "Commande n°"])
def test_a_number_that_is_called_otherwise_is_no_card(label: str) -> None:
    assert findings_in("Paid with 4539 1488 0343 6467.")[Finding.CARD] == 1
    assert findings_in(f"- {label}: 4539 1488 0343 6467")[Finding.CARD] == 0


def test_a_page_of_test_numbers_says_so_at_its_beginning() -> None:
    page = "# Testing payments\n\n{}\n\nFor debits, use DE62370400440532013001."
    assert accounts(page.format("Choose any date in the future. " * 20)) == (0, 0)


def test_services_vary_their_test_accounts_by_the_last_digits() -> None:
    assert accounts("Use these in the sandbox: DE89370400440532013000 or DE62370400440532013001.") == (0, 0)
    assert accounts("Pay Anna: DE62370400440532013001.") == (1, 0)
