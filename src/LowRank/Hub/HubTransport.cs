using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;

namespace LowRank.Hub;

/// <summary>Sends requests to the Hub, with redirects, retries and rate limits.</summary>
/// <remarks>The token is sent only to the Hub's own address; redirects to a storage server are followed without
/// it.</remarks>
internal sealed class HubTransport(HubOptions options, IHubProgress progress) : IDisposable
{
    /// <summary>Marks a request whose body is part of a file.</summary>
    public static readonly HttpRequestOptionsKey<FilePart> SentPart = new("part");

    private const int MostRedirects = 8;
    private static readonly string[] LinkedHeaders = ["X-Linked-Etag", "X-Linked-Size"];
    private readonly Uri endpoint = new(options.Endpoint);
    private readonly HttpClient client =
        new(new SocketsHttpHandler { AllowAutoRedirect = false, ConnectTimeout = TimeSpan.FromSeconds(20) })
    {
        Timeout = Timeout.InfiniteTimeSpan, // large files may take any time; only silence is limited
    };

    /// <summary>Sends a request until it is answered, and passes on the answer once its headers are read.</summary>
    /// <param name="request">Creates the request for each attempt.</param>
    /// <param name="what">What is requested, for messages.</param>
    /// <param name="handle">Reads the answer. A connection lost during this call is retried too.</param>
    /// <param name="cancellation">Gives up.</param>
    /// <exception cref="InputException">The Hub does not have it, or does not grant this token access.</exception>
    /// <exception cref="HubException">The Hub could not be reached, or kept failing.</exception>
    public async Task<T> Send<T>(
        Func<HttpRequestMessage> request, string what, Func<HttpResponseMessage, CancellationToken, Task<T>> handle,
        CancellationToken cancellation)
    {
        TimeSpan wait = options.FirstWait;
        for (int attempt = 1; ; attempt++)
        {
            string failure;
            Exception? cause = null;
            TimeSpan? asked = null;
            bool answered = false;
            try
            {
                using HttpResponseMessage response = await Follow(request, cancellation).ConfigureAwait(false);
                answered = true;
                if (response.IsSuccessStatusCode) return await handle(response, cancellation).ConfigureAwait(false);
                ThrowIfFinal(response, what);
                failure = $"the Hub answered {(int)response.StatusCode} {Quoted(response.ReasonPhrase ?? "")}";
                asked = RetryAfter(response);
            }
            catch (Exception e) when (IsPassing(e) && !cancellation.IsCancellationRequested)
            {
                failure = e is OperationCanceledException
                    ? $"the connection was silent for {options.Silence.TotalSeconds:0.##} s" : e.Message;
                cause = e;
            }
            catch (Exception e) when (IsUnsendable(e))
            {
                throw new HubException(
                    $"{what}: the answer of {options.Endpoint} cannot be used: {e.Message.TrimEnd('.')}. Check " +
                    "HF_ENDPOINT.", e);
            }
            // no network, or a wrong address: waiting rarely helps
            bool unknown = cause is HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError };
            // A server that is silent twice is given up: six waits of half a minute would be three minutes without
            // information.
            bool silent = cause is OperationCanceledException && !answered;
            if (attempt >= (unknown || silent ? Math.Min(2, options.Tries) : options.Tries))
                throw new HubException(
                    $"{what} could not be fetched from {options.Endpoint} in {attempt} tries; the last time " +
                    $"{failure.TrimEnd('.')}. " +
                    "Check the network and HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to use the cached files.", cause);
            TimeSpan pause = asked ?? wait;
            if (pause > options.LongestWait)
                throw new HubException(
                    $"{what}: the Hub asks to wait {pause.TotalSeconds:0} s before the next request (rate limit). " +
                    "Try again " +
                    $"later{(options.Token is null ? ", or set HF_TOKEN: signed-in users have higher limits" : "")}.");
            if (pause > TimeSpan.FromSeconds(2))
                progress.Note($"{what}: {failure}; trying again in {pause.TotalSeconds:0} s");
            await Task.Delay(pause, cancellation).ConfigureAwait(false);
            wait = TimeSpan.FromTicks(Math.Min(wait.Ticks * 2, options.LongestWait.Ticks));
        }
    }

    /// <summary>Reads from an answer with a time limit.</summary>
    public async Task<int> Read(Stream stream, Memory<byte> buffer, CancellationToken cancellation)
    {
        using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        silence.CancelAfter(options.Silence);
        return await stream.ReadAsync(buffer, silence.Token).ConfigureAwait(false);
    }

    /// <summary>An address from an answer for the next request; the token is sent there only if it is the Hub's
    /// own.</summary>
    /// <param name="address">The address in the answer.</param>
    /// <param name="what">Its purpose, for messages.</param>
    /// <exception cref="HubException">It is not an address, does not use http or https, or is less secure than the
    /// Hub's own.</exception>
    public Uri Named(string? address, string what)
    {
        if (string.IsNullOrWhiteSpace(address))
            throw new HubException($"{what}: {options.Endpoint} named no address. Check HF_ENDPOINT.");
        if (!Uri.TryCreate(address, UriKind.Absolute, out Uri? at) || at.Host.Length == 0)
            throw new HubException(
                $"{what}: {options.Endpoint} named the address \"{Quoted(address)}\", which is invalid. Expected a " +
                $"full http or https address. Check HF_ENDPOINT.");
        return Checked(at);
    }

    /// <inheritdoc/>
    public void Dispose() => client.Dispose();

    private static bool IsPassing(Exception e) =>
        e is HttpRequestException or IOException or SocketException or OperationCanceledException;

    private async Task<HttpResponseMessage> Follow(Func<HttpRequestMessage> make, CancellationToken cancellation)
    {
        HttpRequestMessage request = make();
        Uri at = request.RequestUri!;
        // the Hub's headers for a file are on the redirect to its storage
        var linked = new Dictionary<string, string>();
        for (int hop = 0; ; hop++)
        {
            using (request)
            {
                if (options.Token is { } token && IsOwn(at))
                    request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
                request.Headers.UserAgent.ParseAdd("lowrank/0.1");
                using var silence = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
                silence.CancelAfter(options.Silence);
                HttpResponseMessage response = await SendOne(request, silence).ConfigureAwait(false);
                if (response.StatusCode
                    is not (HttpStatusCode.Moved or HttpStatusCode.Found or HttpStatusCode.SeeOther
                    or HttpStatusCode.TemporaryRedirect or HttpStatusCode.PermanentRedirect)
                    || response.Headers.Location is not { } location)
                {
                    foreach ((string name, string value) in linked)
                        response.Headers.TryAddWithoutValidation(name, value);
                    return response;
                }
                foreach (string name in LinkedHeaders)
                    if (response.Headers.TryGetValues(name, out IEnumerable<string>? values))
                        linked[name] = values.First();
                response.Dispose();
                if (hop == MostRedirects)
                    throw new HubException(
                        $"{Shown(at)} redirects {MostRedirects} times. Check HF_ENDPOINT.");
                at = Checked(Uri.TryCreate(at, location, out Uri? next) && next.Host.Length > 0 ? next
                    : throw new HubException(
                        $"{options.Endpoint} leads to \"{Quoted(location.OriginalString)}\", which is not an " +
                        $"address. Check HF_ENDPOINT."));
            }
            request = make();
            request.RequestUri = at;
        }
    }

    // While a part of a file is read and sent, the connection is not silent, regardless of how long the whole part
    // takes.
    private async Task<HttpResponseMessage> SendOne(HttpRequestMessage request, CancellationTokenSource silence)
    {
        bool sends = request.Options.TryGetValue(SentPart, out FilePart? part);
        if (sends) part!.Taken = () => silence.CancelAfter(options.Silence);
        try
        {
            return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, silence.Token)
                .ConfigureAwait(false);
        }
        finally
        {
            if (sends) part!.Taken = null;
        }
    }

    private bool IsOwn(Uri at) => at.Scheme == endpoint.Scheme && at.Host == endpoint.Host && at.Port == endpoint.Port;

    private Uri Checked(Uri at)
    {
        if (at.Scheme is not ("http" or "https"))
            throw new HubException(
                $"{options.Endpoint} leads to {Shown(at)}, which is not an http or https address; it is not followed.");
        if (at.Scheme != "https" && at.Scheme != endpoint.Scheme)
            throw new HubException(
                $"{options.Endpoint} leads to {Shown(at)}, which is not encrypted; it is not followed.");
        return at;
    }

    // Messages quote the beginning of a server's text, without control characters.
    internal static string Quoted(string text) =>
        new([.. text.Take(200).Select(c => char.IsControl(c) ? '\uFFFD' : c)]);

    // A header or an address from an answer that cannot be sent, or an answer that violates the protocol.
    private static bool IsUnsendable(Exception e) =>
        e is FormatException or UriFormatException or NotSupportedException or ArgumentException
        or InvalidOperationException;

    // Signed addresses have a key in their query, which is not shown.
    private static string Shown(Uri at) => Quoted(at.GetLeftPart(UriPartial.Path));

    private void ThrowIfFinal(HttpResponseMessage response, string what)
    {
        string reason = response.Headers.TryGetValues("X-Error-Message", out IEnumerable<string>? said)
            ? $" ({Quoted(said.First())})" : "";
        string signed = options.Token is null ? "no token is set: set HF_TOKEN to one that may read it"
            : "the token may not read it: accept the repository's terms on its page, or use another token";
        switch (response.StatusCode)
        {
            case HttpStatusCode.NotFound:
                throw new InputException(
                    $"{what} was not found on {options.Endpoint}{reason}. Check the name and the revision"
                    + (options.Token is null ? "; if it is private, set HF_TOKEN." : "."));
            case HttpStatusCode.Unauthorized:
                throw new InputException(
                    $"{what}: {options.Endpoint} has no such repository, or it is private{reason}; {signed}. Also " +
                    "check the name.");
            case HttpStatusCode.Forbidden:
                throw new InputException($"{what}: access is refused by {options.Endpoint}{reason}; {signed}.");
            case HttpStatusCode.BadRequest or HttpStatusCode.Conflict or HttpStatusCode.Gone
                or HttpStatusCode.RequestEntityTooLarge or HttpStatusCode.UnprocessableEntity:
                throw new InputException(new Problem(
                    $"{what}: {options.Endpoint} answered {(int)response.StatusCode} " +
                    $"{Quoted(response.ReasonPhrase ?? "")}{reason}.")
                    { Code = response.StatusCode == HttpStatusCode.Conflict ? ProblemCodes.Exists : null });
        }
    }

    private static TimeSpan? RetryAfter(HttpResponseMessage response)
    {
        if (response.Headers.RetryAfter is { Delta: { } delta }) return delta;
        if (response.Headers.RetryAfter is { Date: { } date })
            return date - DateTimeOffset.UtcNow is { Ticks: > 0 } rest ? rest : TimeSpan.Zero;
        // The Hub's own format: ratelimit: "api";r=0;t=55
        if (response.StatusCode == HttpStatusCode.TooManyRequests
            && response.Headers.TryGetValues("RateLimit", out IEnumerable<string>? limit)
            && limit.First().Split(';').Select(part => part.Trim())
            .FirstOrDefault(part => part.StartsWith("t=", StringComparison.Ordinal)) is { } seconds
            && double.TryParse(seconds.AsSpan(2), CultureInfo.InvariantCulture, out double wait)
            && double.IsFinite(wait) && wait is >= 0 and < 1e6) return TimeSpan.FromSeconds(wait);
        return null;
    }
}
