"""Finds the one-time code in the text of a message.

The last line of a message may be an origin-bound one-time code (WICG, "Origin-bound one-time codes delivered via SMS").
In other messages, the code is the number nearest to a word such as "code", "OTP" or "TAN". Besides digits, a code may
have capital letters. Each search over the text takes linear time.
"""

# ruff: noqa: RUF001 (words of many alphabets)

import re
from bisect import bisect_left, bisect_right
from typing import NamedTuple

# A host is a name with a dot, or localhost: "@alice #summer" is not a code. It has no port. A second host
# may follow the code. Other text after the code is ignored, as the specification says.
_HOST = r"((?:[\w-]+\.)+[\w-]+|localhost)"
_LAST_LINE = re.compile(rf"@{_HOST} #([^ \t\n\f\r]+)(?: @{_HOST}(?![^ \t\n\f\r]))?")

# The two large patterns are compiled at their first use. So they don't slow down the start of the server.

# Words near a number, by what they say about the number. If several kinds match at one place, the first kind is used. A
# word without \b also matches inside another word: "kod" matches in engångskod and in kodunuz.
_WORDS_BY_KIND = {
    # Words about discounts. In such a text, the word "code" does not mean a one-time code.
    "promotion": r"""promo | discount | coupon | voucher | %\ ?(?:off|with\ code)\b | \bsave\ \W?[0-9]
        | \boff\ your\b | referral | \binvit[ae] | gift\ card | gutschein | rabat | aktionscode | réduction
        | \bremise | descuento | desconto | \bcup[oó]n | sconto | korting | alennus | \bslev[auoy] | zniżk
        | indirim | скидк | промокод | знижк | έκπτωσ | خصم | הנחה | קופון | छूट | 优惠 | 優惠 | 折扣 | 邀请码
        | クーポン | 割引 | 쿠폰 | 할인 | diskon | giảm\ giá""",
    # Words for other numbers, such as order numbers, and the text between the word and its number.
    "label": r"""(?: \b(?: (?:zip|postal|area|country|sort|qr|bar|error|source|product|item|booking|tracking|order
            |reference|swift|ifsc|dress|reservation)[ -]?code | code\ name | postcode | code\ of\ conduct | code\ postal
            | c[oó]digo\ postal | codice\ (?:postale|fiscale) | kod\ pocztowy | (?-i:COD) )\b
        | \b(?: order | parcel | tracking | flight | invoice | ref(?:erence)? | ticket | booking
            | confirmation\ number | account\ (?:no|number) | card | ending | call | phone | tel | room | gate
            | since | version | amount | balance | betrag | montant | importe | kwota | saldo
            | (?:bestell|auftrags|rechnungs|kunden|sendungs)nummer | bestellung | sendung | flug | rechnung | karte
            | endziffern? | commande | colis | facture | carte | terminant | pedido | vuelo | factura | tarjeta
            | terminada | ordine | volo | fattura | carta | cartão | final | bestelling | kaart | beställning
            | ordre | kort(?:et)? | tilaus | zamówieni[ae] | kart[aęyąou]? | objednávk[ay] | sipariş | заказа?
            | карт[аыуой]{0,2} | рейс | замовлення | παραγγελία | pesanan | đơn\ hàng )\b
        | 订单 | 訂單 | 尾号 | 注文番号 | 주문번호 | طلب | הזמנה )
        (?:\ (?:no|nr|num|number|nummer|id|is|in|en|par|em|mit|ending|номер)\b)* [ \t.:#№°(-]{0,4}""",
    # Words that always mean a one-time code.
    "secret": r"""\b[ms]?otp\b | one[ -]?time | \b(?:2fa|mfa)\b | pass(?:code|word|wort) | \bpins?\b
        | (?-i:\b[a-z]{0,4}TAN\b) | (?:security|log-?in|sign-?in|access|auth)\ code | v[eé]rifi[ckz] | verifier
        | authenti[cf] | \bto\ (?:verify|log\ ?in|sign\ ?in) | einmal | bestätigungs | mot\ de\ passe
        | contraseña | \bclave\b | \bsenha\b | has[lł]o\b | \bheslo | lösenord | salasana | [sş]ifre | doğrulama
        | парол | κωδικ | كلمة\ المرور | رمز\ التحقق | סיסמ | קוד\ אימות | ओटीपी | पासवर्ड | 验证码 | 驗證碼
        | 校验码 | 动态码 | 动态密码 | 确认码 | 認證碼 | 認証 | 確認番号 | 暗証番号 | ワンタイム | パスワード
        | 인증 | 비밀번호 | ma\ xac\ (?:thuc|nhan|minh)""",
    "code": r"""c[oó]d[eiu] | \bcod\b | (?<!\b[šs])k[oó]o?[dð] | код | رمز | كود | کد | کوڈ | קוד | कोड | কোড
        | குறியீடு | కోడ్ | કોડ | კოდ | կոդ | コード | 코드 | \bmã\b | รหัส""",
}
_WORDS = "|".join(f"(?P<{kind}>{words})" for kind, words in _WORDS_BY_KIND.items())

_CURRENCIES = r"""(?: [$€£¥₹₽₩₺₴₪₫฿] | \b(?: EUR|USD|GBP|CHF|SEK|NOK|DKK|PLN|CZK|HUF|RON|TRY|TL|RUB|UAH|INR|JPY|CNY
        |RMB|KRW|IDR|VND|BRL|MXN|ARS|AUD|CAD|NZD|ZAR|NGN|KES|AED|SAR|EGP|ILS|Rs\.?|Rp\.?|[Kk]r\.? ) (?![A-Za-z]) )"""
_UNITS = r"""(?: % | 円 | 元 | 원 | 年 | 分 | 秒 | 분 | 초 | 小时 | دقيق | דק | मिनट | (?i: mins?\b | minu
    | mn\b | se[cgk]s?\b | se[cgk][ou]n | h\b | hrs?\b | hours?\b | hora | heure | stund | std\b | uur | timm
    | tim\b | days?\b | tage | saat | dk\b | dakika | godz | hod | мин | сек | час | хв | λεπτ | phút | menit
    | pts\b | points?\b | punkt | punti | puntos | steps?\b | km\b | kg\b | [kmgt]b\b | [ap]m\b | zł | kč | ft\b
    | lei\b | руб | грн | dong\b | đ | euros?\b | dollars?\b | pounds?\b ) )"""
_WHOLE = r"(?: [0-9]{1,3} (?: [., '’][0-9]{3} (?![0-9]) ){1,4} | [0-9]+ )"
_AMOUNT = rf"{_WHOLE} (?: [.,][0-9]+ )?"
_HYPHENS = r"[-‑–]"
_NEXT_GROUP = rf"[ \u00a0\u202f] [0-9]{{1,4}} (?! [A-Za-z0-9] | [.,:/-][0-9] | \s?{_UNITS} )"

# Parts of a text that contain digits. Patterns that are never a code come first: links, amounts, phone numbers. The
# group `token` may be a code.
_NUMBERS = rf"""(?: https?:// | \bwww\. ) \S+
    | (?<![a-z0-9.-]) [a-z0-9][a-z0-9.-]{{0,80}} \. [a-z]{{2,10}} / \S*
    | {_CURRENCIES} \s? {_AMOUNT}
    | \+ (?: [0-9]{{8,15}} (?![0-9]) | [0-9]{{1,7}} (?: (?:[ /.-]|[ ]?[()][ ]?) [0-9]+ ){{1,5}} )
    | (?: [Xx*•…]{{2,10}}[ -]? | \.{{2,3}} | [*•…] ) [0-9]{{4}} (?![0-9*])
    | (?<![A-Za-z0-9_+/@]) (?<![A-Z0-9]{_HYPHENS})
      (?: {_AMOUNT} \s? {_CURRENCIES} | {_WHOLE} \s? {_UNITS}
        | [0-9]+ (?: [.,:/] [0-9]+ (?! [0-9] | \s?{_UNITS} ) ){{1,8}}
        | \(?0[0-9]{{2,4}}\)? [ /-] [0-9]{{5,8}} (?![0-9])
        | (?: [A-Z]{{1,3}}{_HYPHENS} (?= [0-9]{{4}} | [0-9]{{3}}{_HYPHENS} ) )?
          (?P<token> [0-9]{{1,4}} (?: {_NEXT_GROUP} ){{1,12}} | [A-Z0-9]+ (?: {_HYPHENS} [A-Z0-9]+ )* )
          (?! [A-Za-z0-9_@] | {_HYPHENS}[A-Z0-9] ) )"""
_SEPARATOR = re.compile(r"[^A-Z0-9]")
_YEAR_OR_DATE = re.compile(
    r"(?:19|20)[0-9]{2} (?: \W (?:19|20)[0-9]{2} )? | (?:0[1-9]|[12][0-9]|3[01])-(?:0[1-9]|1[0-2])-[0-9]{2}", re.VERBOSE
)

# Words between a code and its name: "is" in "code is 4821" and in "4821 is your code", ":" in "code: 4821".
_IS = (
    r"(?:\b(?:is|ist|lautet|est|es|é|è|är|er|on|to|jest|je|este|adalah|là|это|це|είναι)\b|هو|הוא|है|[:：=は为為是는은])"
)
_LEAD = re.compile(rf"{_IS}\W{{0,4}}\Z", re.IGNORECASE)
_FOLLOW = re.compile(rf"\W{{0,4}}{_IS}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"[.!?]\s|[。！？]|\n+")
_FARTHEST = 100


class Code(NamedTuple):
    """A one-time code and its place: `text[start:end]`."""

    code: str  # without separators, as a person types it
    start: int
    end: int


class OriginBoundCode(NamedTuple):
    """A code bound to a web site. The code is `text[start:end]`, without its `#`."""

    host: str
    code: str
    start: int
    end: int
    embedded_host: str | None = None  # of the page in a frame, if the code is for that page


def find_origin_bound_code(text: str) -> OriginBoundCode | None:
    """Return the code of a last line in the WICG format, `@example.com #123456`. Text after the code is ignored."""
    if match := _LAST_LINE.match(text, _find_last_line(text)):
        return OriginBoundCode(match[1], match[2], *match.span(2), match[3])
    return None


def find_bound_line(text: str) -> str | None:
    """Return the last line if it begins with `@`, even if it is not a valid origin-bound code."""
    line = text[_find_last_line(text) :]
    return line if line.startswith("@") else None


def _find_last_line(text: str) -> int:
    return max(text.rfind("\n"), text.rfind("\r")) + 1


def find_code(text: str) -> Code | None:
    """Return the one-time code of a message, or None.

    An origin-bound code may have any form. Other codes have 4 to 10 characters: digits, or capital letters and digits.
    """
    if bound := find_origin_bound_code(text):
        return Code(bound.code, bound.start, bound.end)
    numbers = [
        (number, code)
        for number in re.finditer(_NUMBERS, text, re.VERBOSE)
        if (code := _remove_separators(number["token"] or "")) is not None
    ]
    if not numbers:
        return None  # this saves time for most texts, because the search for words takes five times as long
    words = list(re.finditer(_WORDS, text, re.IGNORECASE | re.VERBOSE))
    kinds = {"secret"} if any(word.lastgroup == "promotion" for word in words) else {"secret", "code"}
    naming = [word.span() for word in words if word.lastgroup in kinds]
    label_ends = {word.end() for word in words if word.lastgroup == "label"}
    best, nearest = None, _FARTHEST
    for number, code in numbers:
        start, end = number.span("token")
        distance = _measure_distance(text, start, end, naming) + _count_doubts(number["token"], code)
        if number.start() in label_ends:
            distance += 90
        if distance < nearest:
            best, nearest = Code(code, start, end), distance
    return best


def _remove_separators(token: str) -> str | None:
    """Return a token such as `123 456` or `AB12-CD34` without separators, or None if it can't be a code."""
    groups = _SEPARATOR.split(token)
    sizes = {len(group) for group in groups}
    code = "".join(groups)
    if not 4 <= len(code) <= 10 or code.isalpha():
        return None
    grouped = len(sizes) == 1 and (sizes == {1} or (len(groups) <= 3 and len(code) >= 6))
    return code if len(groups) == 1 or grouped else None


def _measure_distance(text: str, start: int, end: int, naming: list[tuple[int, int]]) -> int:
    """Return the distance to the nearest word that means a code, in characters.

    The end of a sentence counts as 20 characters.
    """
    distances = [_FARTHEST]
    before = bisect_right(naming, start, key=lambda span: span[1]) - 1
    if before >= 0 and start - naming[before][1] < _FARTHEST:
        gap = text[naming[before][1] : start]
        tie = 25 if _LEAD.search(gap) else 0
        distances.append(len(gap) + 20 * len(_SENTENCE_END.findall(gap)) - tie)
    after = bisect_left(naming, end, key=lambda span: span[0])
    if after < len(naming) and naming[after][0] - end < _FARTHEST:
        gap = text[end : naming[after][0]]
        tie = 25 if _FOLLOW.match(gap) else 0
        distances.append(len(gap) + 20 * len(_SENTENCE_END.findall(gap)) - tie + 3)
    return min(distances)


def _count_doubts(token: str, code: str) -> int:
    """Return characters to add to the distance of a token that is probably not a code."""
    if _YEAR_OR_DATE.fullmatch(token):
        return 40
    return 20 if len(code) > 8 or not code.isdigit() else 0
