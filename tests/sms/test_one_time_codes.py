"""Tests of one-time codes: found in the texts of services, but not in other texts with digits."""

import tomllib
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phonify.sms.code_words import KINDS, fold, load_patterns, lower
from phonify.sms.one_time_codes import Code, OriginBoundCode, find_code, find_origin_bound_code
from tests.support.app import ROOT

CODES = [
    # English
    ("Your Example verification code is 482913.", "482913"),
    ("482913 is your Acme login code. Never share it.", "482913"),
    ("Acme: 0042 is your one-time passcode. It works for 10 minutes.", "0042"),
    ("G-482913 is your Example verification code.", "482913"),
    ("FB-31877 is your Example confirmation code", "31877"),
    ("Your Example ID Code is: 482913. Don't share it with anyone.", "482913"),
    ("[Acme] OTP: 48291357 (expires in 300 seconds)", "48291357"),
    ("Use 482 913 to verify your Example account.", "482913"),
    ("Example code: 482-913. You can also tap https://example.com/v/99887766", "482913"),
    ("<#> Your Acme code is 48 29 13\n\nFA+9qCX9VSu", "482913"),
    ("Your Acme PIN is 12-34-56", "123456"),
    ("Enter A7K9QX as your Acme security code", "A7K9QX"),
    ("Acme recovery code: AB12-CD34", "AB12CD34"),
    ("Sign in to Example with code 1984", "1984"),
    (
        "482913 is your OTP for the purchase of INR 1,500.00 at Acme on card ending 1234 at 14:30. Do not share.",
        "482913",
    ),
    ("OTP for payment of USD 4500 with card 5521 is 771204, valid until 22.11.2026 18:45.", "771204"),
    ("Do not share this code with anyone, not even us: 482913", "482913"),
    ("Acme code\n\n482913\n\nAsked for by someone else? Call +14155550123.", "482913"),
    ("Your Example code for order 445566 is 9911. Questions? 0800 123 4567", "9911"),
    ("Example Card: 482913 is your code to activate it.", "482913"),
    ("Code to confirm your order: 482913", "482913"),
    ("Your Acme verification code is 482913. Members get 20% off this week!", "482913"),
    ("Since 2019 we keep you safe. Your login code is 553201.", "553201"),
    ("Your authentication code for a sign-in from a new device near Springfield is: 660142", "660142"),
    ("Your code: *482913* (do not forward)", "482913"),
    ("EXAMPLE CODE IS 482913 FOR LOGIN", "482913"),
    ("Acme PIN-4821", "4821"),
    ("Your Acme one time password is 1 2 3 4 5 6", "123456"),
    ("Ticket 998877: your door code is 4455#", "4455"),
    ("Your Example account 445566 was used to sign in. Code: 771204", "771204"),
    ("Acme parcel 99887766 is in locker 12. Pick-up code: 5521", "5521"),
    ("482913\nYour Example code", "482913"),
    ("This is your code:482913.Don't share it", "482913"),
    ("Your OTP is 4155550123", "4155550123"),
    ("OTP:882211;Txn:998877;Amt:INR4500", "882211"),
    ("Your Wi-Fi access code is K7P-2QX", "K7P2QX"),
    ("Acme delivers today 14:30-15:30. Give code 4821 to the driver.", "4821"),
    # German
    ("Überweisung an DE89 3704 0044 0532 0130 00, 4500,00 EUR, TAN 661204", "661204"),
    ("Ihr Bestätigungscode lautet 482913.", "482913"),
    ("482913 ist dein Example-Code. Gib ihn nicht weiter.", "482913"),
    ("Acme Bank: TAN 771204 für Überweisung über 1.250,00 EUR an Konto *4471, 22.11.2026", "771204"),
    ("mTAN: 8K2M4Q fuer Auftrag ueber 4500 EUR", "8K2M4Q"),
    ("Dein Einmalpasswort ist 4829 1357 und gilt 15 Minuten", "48291357"),
    # French
    ("Votre code de vérification Example est : 482913", "482913"),
    ("482 913 est votre code Acme. Il expire dans 10 minutes.", "482913"),
    ("Votre mot de passe unique : 77120. Achat de 89,90 € chez Acme le 22/11/2026.", "77120"),
    # Spanish and Catalan
    ("Tu código de Example es 482913", "482913"),
    ("ACME: 482913 es tu clave para entrar. No la compartas.", "482913"),
    ("El teu codi de verificació és 482913", "482913"),
    # Portuguese
    ("Seu código de acesso Acme: 482913. Compra de R$ 1.299,00 no cartão final 1234.", "482913"),
    ("482913 é a sua senha temporária da Example", "482913"),
    # Italian
    ("Il tuo codice Example è 482913", "482913"),
    ("Acme: usa il codice 4829 per autorizzare 120,50 EUR", "4829"),
    # Dutch
    ("Je verificatiecode van Example is 482913. Deel deze met niemand.", "482913"),
    # Swedish, Norwegian, Danish, Finnish
    ("Din engångskod är 482913. Den gäller i 5 minuter.", "482913"),
    ("Acme: Din kode er 4829", "4829"),
    ("Din bekræftelseskode hos Example: 482913", "482913"),
    ("Vahvistuskoodisi on 482913", "482913"),
    # Polish, Czech, Hungarian, Romanian
    ("Kod SMS: 482913. Przelew na kwotę 1 250,00 zł z dnia 22-11-2026.", "482913"),
    ("Twoje hasło jednorazowe to 482913", "482913"),
    ("Váš ověřovací kód je 482913, platí 5 minut.", "482913"),
    ("Az Ön belépési kódja: 482913", "482913"),
    ("Codul dvs. Acme este 482913", "482913"),
    # Turkish
    ("Doğrulama kodunuz: 482913. Kimseyle paylaşmayın.", "482913"),
    ("ACME tek kullanımlık ŞİFRENİZ 771204, 3 dk geçerlidir.", "771204"),
    # Russian, Ukrainian, Bulgarian
    ("Код подтверждения: 482913. Никому его не сообщайте.", "482913"),
    ("482913 — ваш код для входа в Example", "482913"),
    ("Пароль: 4829. Оплата 4500 руб, карта *1234", "4829"),
    ("Ваш код Acme: 482913", "482913"),
    ("Вашият код за вход е 482913", "482913"),
    # Greek
    ("Ο κωδικός επαλήθευσης είναι 482913", "482913"),
    # Arabic, Persian, Hebrew
    ("رمز التحقق الخاص بك هو 482913", "482913"),
    ("کد ورود شما: 48291", "48291"),
    ("קוד האימות שלך הוא 482913", "482913"),
    # Hindi, Thai, Vietnamese, Indonesian
    ("आपका ओटीपी 482913 है। इसे किसी को न बताएं।", "482913"),
    ("रु 4500 के लिए कोड 771204 है", "771204"),
    ("รหัส OTP ของคุณคือ 482913", "482913"),
    ("Mã xác minh Example của bạn là 482913", "482913"),
    ("Ma xac thuc Acme: 482913, hieu luc 3 phut", "482913"),
    ("Kode verifikasi Anda adalah 482913. Jangan bagikan.", "482913"),
    ("Kode OTP kamu: 882211. Transaksi Rp 4.500.000 di Acme", "882211"),
    # Chinese, Japanese, Korean
    ("【示例】您的验证码为482913，5分钟内有效。", "482913"),
    ("【示例】验证码:482913,5分钟内有效,尾号1234的卡", "482913"),
    ("482913(登录验证码)，请勿告知他人", "482913"),
    ("您的驗證碼是 482913", "482913"),
    ("認証コード：482913（有効期限10分）", "482913"),
    ("482913がExampleの確認コードです。", "482913"),
    ("[예시] 인증번호 [482913]를 입력해 주세요.", "482913"),
    ("본인확인 인증번호는 482913입니다", "482913"),
    # Malay, Swahili, Croatian, Serbian, Georgian, Bengali
    ("Your TAC is 482913", "482913"),
    ("msimbo 482913", "482913"),
    ("šifra 482913", "482913"),
    ("sifra 482913", "482913"),
    ("Vaša jednokratna lozinka je 482913", "482913"),
    ("Ваша шифра је 482913", "482913"),
    ("482913 egyszerhasználatos jelszavad", "482913"),
    ("8568 la ma kich hoat", "8568"),
    ("Kodi juaj është 482913", "482913"),
    ("კოდი: 482913", "482913"),
    ("কোড ১২৩৪৫৬", "123456"),
]

COLONS = [
    ("4455: OTP 771204", "771204"),
    ("Table 4455: your code 771204", "771204"),
    ("482913: your code", "482913"),
]

SCRIPTS = [
    ("您的OTP是123456", "123456"),
    ("OTP는 123456", "123456"),
    ("あなたのOTPは123456です", "123456"),
    ("Ваш OTPкод: 123456", "123456"),
    ("使用代码 67327 以验证", "67327"),
    ("482913 是您的一次性密碼", "482913"),
    ("482913 是您的一次性密码", "482913"),
    ("您的動態密碼：482913", "482913"),
]

DIGITS = [
    ("code ٤٨٢٩", "4829", "٤٨٢٩"),
    ("کد تایید ۴۸۲۹۱", "48291", "۴۸۲۹۱"),
    ("आपका कोड ४८२९१३ है", "482913", "४८२९१३"),
    ("รหัส ๔๘๒๙๑๓", "482913", "๔๘๒๙๑๓"),
    ("ＯＴＰ：４８２９１３", "482913", "４８２９１３"),
    ("ma\u0303 xác minh 482913", "482913", "482913"),
    ("Votre code de ve\u0301rification : 482 913", "482913", "482 913"),
    (unicodedata.normalize("NFD", "인증번호") + " 482913", "482913", "482913"),
]

AMOUNTS = [
    ("Never share your OTP. You paid SGD45.00 at Acme. If it was you, use HTW-191206 within 3 min", "191206"),
    ("OTP. RM4500", None),
    ("OTP not asked for. NGN4500 debited", None),
    ("OTP not asked for. 4,500.00 PHP", None),
    ("OTP not asked for. Ksh4500", None),
    ("OTP not asked for. 4500 FCFA", None),
    ("OTP not asked for. R4500.00", None),
    ("OTP not asked for. ৳4500", None),
    ("OTP not asked for. 4500 rupees", None),
    ("Šifra nije tražena. 4500 dinara", None),
    ("TRY 4500 and an OTP", None),
    ("OTP is 482913 for a payment of Rs.4500.00", "482913"),
    ("Try 4829 as your code", "4829"),
]

MIXED = [
    ("認証コード：vM8xw", "vM8xw"),
    ("your code is a7k9q", "a7k9q"),
    ("Code: Ab12-Cd34", "Ab12Cd34"),
    ("Code is ready7", "ready7"),
    ("Your code is on its way to iPhone13", None),
    ("Your code is 24hours valid", None),
    ("Your code is 1000th in the list", None),
    ("Your code: example7.com", None),
    ("Your code: you@example7", None),
]

OFFERS = [
    ("Your Acme code is 1808. Get 20% off your next ride!", "1808"),
    ("1808 is your code! Save 10% with our app", "1808"),
    ("20% off today! Your login code is 4821", "4821"),
    ("20% off everything! Use code 1808", None),
    ("Your code is 1808 for 20% off", None),
    ("20% off. Your code is SAVE20", None),
]

OTHER_NUMBERS = [
    "unicode is 123456",
    "barcode: 12345678",
    "decode 123456, encode 123457",
    "codec 4821, Kodak 4822, opinion 4823, spinner 4824",
    "parcel 7153853481 at נקודת חלוקה",
    "takip kodu 12345678",
    "Kargo takip kodunuz: 12345678",
    "Posta kodu 34000",
    "código de rastreo 12345678",
    "code de suivi : 12345678",
    "Kod przesyłki 12345678",
    "код отслеживания 12345678",
    "mã vận đơn 12345678",
    "快递单号 12345678，取件代码见柜",
    "郵便番号 1234567 コード",
    "Ihre PLZ 10115 Code",
    "OTP 4455*667788 is wrong",
    "OTP 4455xxxx7788 is wrong",
    "OTP ****4455 is wrong",
]


@pytest.mark.parametrize(("text", "code"), COLONS)
def test_a_colon_after_a_number_says_nothing_of_the_word_that_follows(text: str, code: str) -> None:
    assert find_code(text) is not None
    assert find_code(text).code == code


@pytest.mark.parametrize(("text", "code"), SCRIPTS)
def test_a_word_ends_where_another_script_begins(text: str, code: str) -> None:
    assert find_code(text).code == code


@pytest.mark.parametrize(("text", "code", "highlighted"), DIGITS)
def test_digits_of_any_script_are_offered_as_ascii(text: str, code: str, highlighted: str) -> None:
    found = find_code(text)
    assert found.code == code
    assert text[found.start : found.end] == highlighted


@pytest.mark.parametrize(("text", "code"), AMOUNTS)
def test_an_amount_of_any_currency_is_no_code(text: str, code: str | None) -> None:
    assert (found := find_code(text)) is code or found.code == code


@pytest.mark.parametrize(("text", "code"), MIXED)
def test_small_letters_with_a_digit_are_a_code_right_after_its_name(text: str, code: str | None) -> None:
    assert (found := find_code(text)) is code or found.code == code


@pytest.mark.parametrize(("text", "code"), OFFERS)
def test_an_offer_in_another_sentence_does_not_hide_a_code(text: str, code: str | None) -> None:
    assert (found := find_code(text)) is code or found.code == code


@pytest.mark.parametrize("text", OTHER_NUMBERS)
def test_words_within_words_labels_and_masked_accounts_name_no_code(text: str) -> None:
    assert find_code(text) is None


def test_the_file_of_words_has_the_form_that_it_describes() -> None:
    languages = tomllib.loads((ROOT / "phonify/sms/code_words.toml").read_text(encoding="utf-8"))
    currency = languages.pop("currency")
    assert currency.keys() == {"codes", "codes_in_capitals", "words", "between"}
    assert len(languages) > 40
    for language, kinds in languages.items():
        assert kinds.keys() <= {"secret", "code", "label", "promotion", "is", "unit"}, language
        for word in (word for words in kinds.values() for word in words):
            assert word == word.strip(), word
            assert word.strip("*"), word
            assert unicodedata.is_normalized("NFC", word), word


NO_CODES = [
    "",
    "Lunch at 12?",
    "482913",
    "Your balance is EUR 1234.56",
    "It was $1,299 and is 4500 kr now",
    "See you on 2026-11-22 or 22.11.2026 at 14:30",
    "Call +14155550123 or 0800 123 4567",
    "Best wishes for 2027!",
    "Your parcel 00340434161094021501 arrives tomorrow",
    "Order 445566 has shipped. Track it: https://example.com/t/445566",
    "Flight BA2490 to Oslo is delayed, gate 4512",
    "The code is explained at https://x.example/abc123456",
    "Your code is waiting: example.com/c/482913",
    "Use promo code SAVE20 at the checkout",
    "Use code SAVE2026 for 20% off your next order",
    "Code 4711: 15 % Rabatt bis 22.11.2026",
    "SAVE20 is your discount code",
    "Ihr Gutscheincode lautet GX48K2",
    "Votre code promo : HIVER25",
    "Tu cupón de descuento: código OTOÑO26, 4500 puntos",
    "Please tell us your zip code, is it 94105?",
    "The postcode is 10115, the area code is 03012",
    "Card ending 1234 was charged. We never ask for your PIN.",
    "Your code is valid for 10 minutes and expires in 3600 seconds.",
    "Never share a code. Your card ending in 5521 paid USD 4500.00 today.",
    "Enter the code at the pick-up of order 445566",
    "Your booking code is ABC123",
    "Error code 5012 on device 7",
    "Your tracking code is 99887766",
    "99887766 is your booking reference",
    "We changed our code of conduct in 2024.",
    "Write to code4821@example.com, code at hand",
    "Code a7k9qx4 and Code A7k9Q are no candidates",
    "Your code has twelve digits: 123456789012",
    "Your code: 4111 1111 1111 1111",
    "Never give your OTP to callers on 020 7946 0958 or (415) 555-0199.",
    "PIN changed. Balance 4500 points, 2000 MB left.",
    "Your Škoda 2024 is ready, 4500 km",
    "La tua password non è cambiata. Saldo: 1.299,00 EUR",
    "Never tell anyone a code, says Acme, who have been your bank since 1884.",
    "Заказ 445566 готов, 4500 руб. Код не нужен.",
    "优惠码 SAVE2026，折扣20%",
    "Save 20% with code WINTER26!",
    "Betrag 4500 abgebucht. PIN nie weitergeben!",
    "Somebody tried to log in from 192.168.10.20",
    "Your PIN was changed. Not you? Call 08001234567",
    "Your parcel is here. COD 1250, please have it ready.",
    "Get 50 EUR with the referral code ANNA2026",
    "Reminder: invoice 2026-0042 of CHF 4500 is due. QR code attached.",
    "您尾号1234的卡消费4500元。请勿泄露验证码。",
]

ORIGIN_BOUND = [
    ("@example.com #747723", "example.com", "747723"),
    ("Your Example code is 747723.\n\n@example.com #747723", "example.com", "747723"),
    ("747723 is yours.\r\n@login.example.com #747723 %ecommerce.example", "login.example.com", "747723"),
    ("747723 is yours.\r@example.com #747723", "example.com", "747723"),
    ("@example.com #747723 %ecommerce.example $future", "example.com", "747723"),
    ("@example.com #G-74-x7", "example.com", "G-74-x7"),
    ("@example.com #747723\tmore", "example.com", "747723"),
    ("@localhost #747723", "localhost", "747723"),
    ("@bücher.example #747723", "bücher.example", "747723"),
]

NOT_ORIGIN_BOUND = [
    "",
    "@",
    "@example.com",
    "@example.com #",
    "@example.com # 747723",
    "@example.com  #747723",
    "@example.com\t#747723",
    "@example.com code #747723",
    "something @example.com #747723",
    " @example.com #747723",
    "#747723 %ecommerce.example @example.com",
    "example.com #747723",
    "@ #747723",
    "@a.com:8443 #123456",
    "@localhost:5000 #747723",
    "@https://example.com #747723",
    "@example.com #747723\n",
    "@example.com #747723\nThank you",
    "See you there!\n@alice #summer26",
]


@pytest.mark.parametrize(("text", "code"), CODES)
def test_the_code_of_a_message_is_found(text: str, code: str) -> None:
    found = find_code(text)
    assert found is not None
    assert found.code == code


@pytest.mark.parametrize("text", NO_CODES)
def test_a_message_without_a_code_has_none(text: str) -> None:
    assert find_code(text) is None


@pytest.mark.parametrize(
    ("text", "highlighted"),
    [
        ("Your code is 482913.", "482913"),
        ("Code: 482 913, valid for 5 min", "482 913"),
        ("Code: 482\u00a0913", "482\u00a0913"),
        ("Acme code AB12-CD34!", "AB12-CD34"),
        ("G-482913 is your code", "482913"),
        ("😀 验证码482913", "482913"),
    ],
)
def test_start_and_end_are_those_of_the_code_as_it_stands_in_the_text(text: str, highlighted: str) -> None:
    found = find_code(text)
    assert found is not None
    assert text[found.start : found.end] == highlighted


@pytest.mark.parametrize("separator", ["\n", "\r\n", "\r"])
def test_the_last_line_wins_over_the_text_above(separator: str) -> None:
    text = f"Your code is 111111.{separator}@example.com #222-222"
    assert find_code(text) == Code("222-222", len(text) - 7, len(text))


def test_of_two_candidates_the_nearer_to_the_word_is_the_code() -> None:
    assert find_code("Table 1234, code 5678") == Code("5678", 17, 21)
    assert find_code("Code 5678, table 1234") == Code("5678", 5, 9)


def test_a_word_too_far_away_names_nothing() -> None:
    assert find_code("Our code of honour is known. " + "We care. " * 20 + "Acme 482913") is None


@pytest.mark.parametrize(("text", "host", "code"), ORIGIN_BOUND)
def test_an_origin_bound_code_is_read(text: str, host: str, code: str) -> None:
    found = find_origin_bound_code(text)
    assert found == OriginBoundCode(host, code, text.rindex("#") + 1, text.rindex("#") + 1 + len(code))
    assert text[found.start : found.end] == code


@pytest.mark.parametrize(
    ("text", "embedded"),
    [
        ("@example.com #747723 @pay.example", "pay.example"),
        ("Your code is 747723.\n@example.com #747723 @pay.example more", "pay.example"),
        ("@example.com #747723", None),
        ("@example.com #747723 %pay.example", None),
        ("@example.com #747723 @pay.example:8443", None),
        ("@example.com #747723  @pay.example", None),
    ],
)
def test_the_host_of_an_embedded_page_is_told(text: str, embedded: str | None) -> None:
    found = find_origin_bound_code(text)
    assert found is not None
    assert (found.host, found.embedded_host) == ("example.com", embedded)


@pytest.mark.parametrize("text", NOT_ORIGIN_BOUND)
def test_what_departs_from_the_format_is_not_origin_bound(text: str) -> None:
    assert find_origin_bound_code(text) is None


PIECES = st.sampled_from(
    ["code", "OTP", "is", "TAN", "@example.com", "#", "482", "913", "4821", "AB12", "-", " ", ":", ".", ",", "/", "\n"]
    + ["€", "kr", "order", "+", "x", "*", "https://", "10 min", "验证码", "%", "G-", "\r", "\u00a0", "İ", "ß"]
)


@pytest.mark.slow
def test_each_word_of_the_file_is_found_with_and_without_its_accents() -> None:
    patterns = load_patterns()
    languages = tomllib.loads((ROOT / "phonify/sms/code_words.toml").read_text(encoding="utf-8"))
    words = {
        word
        for name, lists in languages.items()
        if name != "currency"
        for kind in KINDS
        for word in lists.get(kind, ())
    }
    missed = []
    for word in words:
        text = lower(fold(word.replace("*", "")).text)
        around = word.startswith("*") * text[:1] + text + word.endswith("*") * text[-1:]
        if not any(match.end() - match.start() >= len(text) for match in patterns.words.finditer(around)):
            missed.append(word)
    assert missed == []


@given(st.one_of(st.text(), st.lists(PIECES, max_size=30).map("".join)))
def test_whatever_the_text_what_is_found_stands_in_it(text: str) -> None:
    for found in (find_code(text), find_origin_bound_code(text)):
        if found is not None:
            assert 0 <= found.start < found.end <= len(text)
            typed = [character for character in fold(text[found.start : found.end]).text if character.isalnum()]
            assert typed == [character for character in fold(found.code).text if character.isalnum()]


@pytest.mark.parametrize(
    "repeated",
    ["1", "1-", "1 ", "1.", "1,", "12 34-", "A", "A-", "A1-", "a1.", "x", "*", ".", "+1 ", "(0", "$1", "0800 ", "1111 "]
    + ["code ", "code 1234 ", "code", "order ", "order no ", "cod", "@a.", "-", "ş", "1:", "a-", "1 min", "www.", "\n"],
)
@pytest.mark.parametrize("around", ["code {}", "{}x code", "@{}", "{}%", "{}_"])
def test_a_long_hostile_text_is_read_in_no_time(repeated: str, around: str) -> None:
    text = around.format(repeated * (10_000 // len(repeated)))
    find_code(text)
    find_origin_bound_code(text)
