"""The presets of the gateway `http`. A preset contains default values for variables. It contains no code."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Preset:
    """Default values. For example, `query` is the default of PHONIFY_HTTP_QUERY. See `docs/gateways-http.md`."""

    method: str = "POST"
    query: str = ""
    headers: str = ""
    body: str = ""
    coding: str = "0 2"  # two values of {coding}: the first for GSM-7, the second for UCS-2
    taken: str = ""
    refused: str = ""
    later: str = ""
    reference: str = ""
    code: str = ""
    receipt: str = ""
    status: str = ""
    inbound: str = ""
    answer: str = ""
    probe: str = ""
    ready: str = "2xx"


KANNEL = Preset(
    method="GET",
    # Kannel replaces the escapes %d, %A, %F and %T of dlr-url when it reports.
    query=(
        "username={username}&password={password}&from={from}&to={to}&text={text}&charset=UTF-8&coding={coding}"
        "&udh={udh}&validity={validity_minutes}&dlr-mask=31"
        "&dlr-url={receipt_url}%3Ftype%3D%25d%26answer%3D%25A%26reference%3D%25F%26at%3D%25T"
    ),
    taken="202 /^[03]:/",
    refused=(
        "403 /Not routable/ unroutable_number, 400 /receiver/ invalid_number, 400 /black-lists/ unroutable_number,"
        " 400 /Sender/ sender_not_permitted, 400"
    ),
    later="403 /Authorization/ pause, 404 pause, 429 pause, 503 /Temporal/ pause",
    receipt="status=type code=answer reference=reference at=at",
    status="delivered=1 undelivered=2,16 sent=4,8,32",
    inbound="from=from to=to text=text charset=charset event=id at=at",
    probe="?username={username}&password={password}",
    ready="400 /Missing receiver/",
)

JASMIN = Preset(
    body=(
        "username={username}&password={password}&from={from}&to={to}&coding={coding}&hex-content={text_hex}"
        "&validity-period={validity_minutes}&dlr=yes&dlr-level=3&dlr-method=POST&dlr-url={receipt_url}"
    ),
    coding="0 8",
    taken='200 /^Success "/',
    refused=(
        "412 unroutable_number, 400 /destination_address/ unroutable_number, 400 /source_address/ sender_not_permitted,"
        r" 400 /\[to\]/ invalid_number, 400"
    ),
    later=(
        "403 pause, 404 pause, 429 pause, 400 /Authorization failed.*(Cannot|Setting)/ pause, 412 /bound/ pause,"
        " 500 /Cannot send submit_sm/ pause, 503 /Interceptor/ pause"
    ),
    reference='regex:^Success "([^"]+)"',
    receipt="status=message_status reference=id",
    status=(
        "sent=ESME_ROK,ACCEPTD,ENROUTE delivered=DELIVRD undelivered=UNDELIV,REJECTD,DELETED,ESME_*"
        " unreachable_handset=EXPIRED"
    ),
    inbound="from=from to=to text_hex=binary charset=coding event=id",
    answer="ACK/Jasmin",
    probe="/balance?username={username}&password={password}",
    ready="200, 400 /Cannot check balance/",
)

PRESETS = {"custom": Preset(), "kannel": KANNEL, "jasmin": JASMIN}
