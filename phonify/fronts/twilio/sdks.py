"""The code that connects each of Twilio's SDKs to this server."""

from urllib.parse import urlsplit


def list_sdk_lines(address: str) -> list[tuple[str, str]]:
    """For each programming language, return its name and a code example.

    `address` is this server's address, without a slash at the end.
    """
    parts = urlsplit(address)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    return [
        ("Python", f'client = Client(account_sid, auth_token)\nclient.api.base_url = "{address}"'),
        ("Node", f'const client = twilio(accountSid, authToken);\nclient.api.baseUrl = "{address}";'),
        (
            "Ruby",
            f"""\
class PhonifyHttp < Twilio::HTTP::Client
  def request(host, port, method, url, params = {{}}, data = {{}}, headers = {{}}, auth = nil, timeout = nil)
    super("{host}", {port}, method, url.sub(%r{{https://api[^/]*twilio.com(:443)?}}, "{address}"),
          params, data, headers, auth, timeout)
  end
end
client = Twilio::REST::Client.new(account_sid, auth_token, nil, nil, PhonifyHttp.new)""",
        ),
        (
            "PHP",
            f"""\
class PhonifyClient extends Twilio\\Http\\CurlClient {{
    public function request(string $method, string $url, array $params = [], array $data = [],
            array $headers = [], ?string $user = null, ?string $password = null, ?int $timeout = null,
            ?Twilio\\AuthStrategy\\AuthStrategy $auth = null): Twilio\\Http\\Response {{
        $url = preg_replace('#^https://api[^/]*twilio.com#', '{address}', $url);
        return parent::request($method, $url, $params, $data, $headers, $user, $password, $timeout, $auth);
    }}
}}
$client = new Twilio\\Rest\\Client($sid, $token, null, null, new PhonifyClient());""",
        ),
        (
            "Go",
            f"""\
type toPhonify struct{{}}

func (toPhonify) RoundTrip(r *http.Request) (*http.Response, error) {{
	r.URL.Scheme, r.URL.Host = "{parts.scheme}", "{parts.netloc}"
	return http.DefaultTransport.RoundTrip(r)
}}

httpClient := &client.Client{{
	Credentials: client.NewCredentials(sid, token),
	HTTPClient:  &http.Client{{Transport: toPhonify{{}}}},
}}
httpClient.SetAccountSid(sid)
twilioClient := twilio.NewRestClientWithParams(twilio.ClientParams{{Client: httpClient}})""",
        ),
        (
            "Java",
            f"""\
class PhonifyClient extends NetworkHttpClient {{
    @Override
    public Response makeRequest(IRequest request) {{
        Request moved = new Request(request.getMethod(),
            request.getUrl().replaceFirst("https://api[^/]*twilio\\\\.com", "{address}"));
        moved.setAuth(sid, token);
        request.getQueryParams().forEach((name, values) -> values.forEach(v -> moved.addQueryParam(name, v)));
        ((Request) request).getPostParams().forEach((name, values) -> values.forEach(v -> moved.addPostParam(name, v)));
        return super.makeRequest(moved);
    }}
}}
TwilioRestClient client = new TwilioRestClient.Builder(sid, token).httpClient(new PhonifyClient()).build();""",
        ),
        (
            "C#",
            f"""\
class ToPhonify : HttpClientHandler {{
    protected override Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken stop) {{
        request.RequestUri = new UriBuilder(request.RequestUri) {{
            Scheme = "{parts.scheme}", Host = "{host}", Port = {port} }}.Uri;
        return base.SendAsync(request, stop);
    }}
}}
TwilioClient.SetRestClient(new TwilioRestClient(sid, token,
    httpClient: new SystemNetHttpClient(new HttpClient(new ToPhonify()))));""",
        ),
    ]
