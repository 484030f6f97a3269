namespace LowRank.Hub;

/// <summary>The Hub's address, the cache folder, and download settings.</summary>
public sealed record HubOptions
{
    /// <summary>The public Hub.</summary>
    public const string PublicEndpoint = "https://huggingface.co";

    /// <summary>The Hub's address, without a trailing slash. <c>HF_ENDPOINT</c>.</summary>
    public string Endpoint { get; init; } = PublicEndpoint;

    /// <summary>The cache that Python's huggingface_hub uses too. <c>HF_HUB_CACHE</c>, else <c>HF_HOME/hub</c>, else
    /// <c>~/.cache/huggingface/hub</c>.</summary>
    public required string CacheFolder { get; init; }

    /// <summary>The access token; null for none. <c>HF_TOKEN</c>, else the file <c>HF_TOKEN_PATH</c> or
    /// <c>HF_HOME/token</c>. It is sent only to the <see cref="Endpoint"/> and never written anywhere.</summary>
    public string? Token { get; init; }

    /// <summary>Whether to use only the cache. <c>HF_HUB_OFFLINE</c>.</summary>
    public bool IsOffline { get; init; }

    /// <summary>Number of parts of a file to download in parallel. Default 4.</summary>
    public int Connections { get; init; } = 4;

    /// <summary>Size of a part in bytes; smaller files are downloaded in one piece. Default 16 MiB.</summary>
    public long PartBytes { get; init; } = 16L << 20;

    /// <summary>Maximum number of attempts per request. Default 6.</summary>
    public int Tries { get; init; } = 6;

    /// <summary>The wait before the first retry; each further wait is twice as long. Default 0.5 s.</summary>
    public TimeSpan FirstWait { get; init; } = TimeSpan.FromSeconds(0.5);

    /// <summary>The longest wait that a server may ask for (Retry-After). Default 5 minutes.</summary>
    public TimeSpan LongestWait { get; init; } = TimeSpan.FromMinutes(5);

    /// <summary>Maximum time without data on a connection. Default 30 s.</summary>
    public TimeSpan Silence { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Maximum duration of a short answer, such as a listing, from its first byte to its last. Default 2
    /// minutes.</summary>
    public TimeSpan LongestAnswer { get; init; } = TimeSpan.FromMinutes(2);

    /// <summary>The settings from the environment variables of Python's huggingface_hub.</summary>
    /// <exception cref="InputException">HF_ENDPOINT is not an address.</exception>
    public static HubOptions FromEnvironment() => From(Environment.GetEnvironmentVariable);

    /// <summary>The settings from given variables.</summary>
    /// <param name="variable">Returns the value of a variable; null if it is not set.</param>
    /// <exception cref="InputException">HF_ENDPOINT is not an address.</exception>
    public static HubOptions From(Func<string, string?> variable)
    {
        string? Set(string name) => variable(name) is { } value && !string.IsNullOrWhiteSpace(value)
            ? value.Trim() : null;
        string home = Set("HF_HOME")
            ?? Path.Combine(Set("XDG_CACHE_HOME") ?? Path.Combine(Home(variable), ".cache"), "huggingface");
        home = Expand(home, variable);
        string endpoint = (Set("HF_ENDPOINT") ?? PublicEndpoint).TrimEnd('/');
        if (!Uri.TryCreate(endpoint, UriKind.Absolute, out Uri? address) || address.Scheme is not ("http" or "https"))
            throw new InputException($"HF_ENDPOINT is \"{endpoint}\", expected an address such as {PublicEndpoint}.");
        string tokenFile = Expand(Set("HF_TOKEN_PATH") ?? Path.Combine(home, "token"), variable);
        return new HubOptions
        {
            Endpoint = endpoint,
            CacheFolder = Path.GetFullPath(Expand(Set("HF_HUB_CACHE") ?? Path.Combine(home, "hub"), variable)),
            Token = IsTrue(Set("HF_HUB_DISABLE_IMPLICIT_TOKEN")) ? null
                : Checked(Set("HF_TOKEN"), "HF_TOKEN")
                ?? Checked(Set("HUGGING_FACE_HUB_TOKEN"), "HUGGING_FACE_HUB_TOKEN")
                ?? Checked(ReadToken(tokenFile), tokenFile),
            IsOffline = IsTrue(Set("HF_HUB_OFFLINE")) || IsTrue(Set("TRANSFORMERS_OFFLINE")),
        };
    }

    /// <summary>The settings without the token, safe to display.</summary>
    public override string ToString() =>
        $"{Endpoint}, cache {CacheFolder}{(IsOffline ? ", offline" : "")}{(Token is null ? "" : ", with a token")}";

    // The token becomes a header, where a line end would start another header. The token itself is not shown.
    private static string? Checked(string? token, string place) =>
        token is null || token.All(c => c is > ' ' and < '\x7f') ? token
        : throw new InputException(
            $"{place} is not a token: it contains a blank, a line end or a non-ASCII letter. Set it to the token " +
            "itself, which begins with hf_.");

    private static bool IsTrue(string? value) => value?.ToUpperInvariant() is "1" or "ON" or "YES" or "TRUE";

    private static string Home(Func<string, string?> variable) =>
        variable("HOME") is { Length: > 0 } home ? home
            : Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);

    private static string Expand(string path, Func<string, string?> variable) =>
        path == "~" || path.StartsWith("~/", StringComparison.Ordinal) ? Home(variable) + path[1..] : path;

    private static string? ReadToken(string path)
    {
        if (!File.Exists(path)) return null;
        string token = SmallFile.ReadText(path).Trim();
        return token.Length == 0 ? null : token;
    }
}
