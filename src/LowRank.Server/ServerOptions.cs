using LowRank.Serving;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LowRank.Server;

/// <summary>What a <see cref="LowRankServer"/> serves, where, and within which limits.</summary>
/// <param name="Model">The base: a folder, or a name on the Hugging Face Hub.</param>
public sealed record ServerOptions(string Model)
{
    private const int MostPort = 65535;

    /// <summary>The base's name in requests. Default: null, the last part of <see cref="Model"/>.</summary>
    public string? ModelName { get; init; }

    /// <summary>Adapters that are read at the start. Default: none.</summary>
    public IReadOnlyList<NamedAdapter> Adapters { get; init; } = [];

    /// <summary>The address to listen on: an IP address, localhost, or * for all of the machine's. On an address that
    /// other machines reach, set <see cref="ApiKeys"/>. Default: 127.0.0.1.</summary>
    public string Host { get; init; } = "127.0.0.1";

    /// <summary>The port, 0 for one that is free. Default: 8080.</summary>
    public int Port { get; init; } = 8080;

    /// <summary>Keys of which each request but /health and /ready has to show one (<c>Authorization: Bearer KEY</c>).
    /// Default: none, everybody who reaches the server may use it.</summary>
    public IReadOnlyList<string> ApiKeys { get; init; } = [];

    /// <summary>Web pages that may call, as <c>https://example.org</c>; <c>*</c> for all. Default: none but the
    /// server's own.</summary>
    public IReadOnlyList<string> CorsOrigins { get; init; } = [];

    /// <summary>The folder below which adapters may be loaded while the server runs. Default: null, none.</summary>
    public string? AdapterRoot { get; init; }

    /// <summary>Whether requests may load and unload adapters. Default: false.</summary>
    public bool AllowAdapterLoading { get; init; }

    /// <summary>How the model is opened.</summary>
    public LanguageModelOptions Opening { get; init; } = new();

    /// <summary>The engine's limits.</summary>
    public ServingOptions Serving { get; init; } = new();

    /// <summary>What a request may ask for.</summary>
    public RequestLimits Limits { get; init; } = new();

    /// <summary>Whether prompts are logged, at the level Debug. Default: false, no part of a prompt or an answer
    /// is.</summary>
    public bool LogPrompts { get; init; }

    /// <summary>How long requests under way may take to finish after the server was asked to stop. Default: a
    /// minute.</summary>
    public TimeSpan DrainTime { get; init; } = TimeSpan.FromMinutes(1);

    /// <summary>Hears of requests and of the model. Default: nobody.</summary>
    public ILogger Logger { get; init; } = NullLogger.Instance;

    /// <summary>The base's name in requests.</summary>
    internal string Name => ModelName ?? Path.GetFileName(Path.TrimEndingDirectorySeparator(Model));

    /// <summary>Refuses what no server can run with.</summary>
    /// <exception cref="InputException">All problems at once.</exception>
    internal void Validate()
    {
        List<string> problems = [];
        void Check(bool holds, string problem)
        {
            if (!holds) problems.Add(problem);
        }
        Check(!string.IsNullOrWhiteSpace(Model), "ServerOptions.Model is empty; expected a model.");
        Check(Port is >= 0 and <= MostPort, $"ServerOptions.Port is {Port}, expected 0 to {MostPort}.");
        Check(ListenAddress.TryParse(Host) is not null,
            $"ServerOptions.Host is {Host}, expected an IP address, localhost or *.");
        Check(!AllowAdapterLoading || AdapterRoot is not null,
            "ServerOptions.AllowAdapterLoading needs AdapterRoot, the folder below which adapters may lie.");
        Check(AdapterRoot is null || Directory.Exists(AdapterRoot),
            $"ServerOptions.AdapterRoot is {AdapterRoot}, but there is no such folder.");
        Check(ApiKeys.All(key => key.Length > 0 && key.All(char.IsAscii) && !key.Any(char.IsWhiteSpace)),
            "ServerOptions.ApiKeys has a key that is empty or has blanks; expected ASCII characters without blanks.");
        foreach (string origin in CorsOrigins)
            Check(origin == "*" || RequestGuard.IsOrigin(origin),
                $"ServerOptions.CorsOrigins has {origin}, expected SCHEME://HOST[:PORT], or * for all.");
        foreach (NamedAdapter adapter in Adapters)
            Check(NamedAdapter.IsName(adapter.Name), $"The adapter's name \"{adapter.Name}\" cannot be used: " +
                "expected 1 to 128 letters, digits, and - _ . / : without blanks.");
        foreach (string twice in Adapters.Select(adapter => adapter.Name).Append(Name).GroupBy(name => name)
            .Where(group => group.Count() > 1).Select(group => group.Key))
            problems.Add($"The name {twice} is given twice; the base and each adapter need their own.");
        problems.AddRange(Limits.Problems());
        if (problems.Count > 0) throw new InputException("The server cannot be started:", problems);
    }
}

/// <summary>An adapter and the name that requests give as <c>model</c>.</summary>
/// <param name="Name">The name.</param>
/// <param name="Folder">A PEFT folder.</param>
public sealed record NamedAdapter(string Name, string Folder)
{
    private const int Longest = 128;

    /// <summary>Whether requests can give a name.</summary>
    internal static bool IsName(string name) => name.Length is > 0 and <= Longest
        && name.All(letter => char.IsLetterOrDigit(letter) || letter is '-' or '_' or '.' or '/' or ':')
        && !name.Contains("..", StringComparison.Ordinal);
}

/// <summary>What a request may ask for; beyond, it is refused.</summary>
public sealed record RequestLimits
{
    /// <summary>Bytes of a request's body. Default: 8 MiB.</summary>
    public long BodyBytes { get; init; } = 8 << 20;

    /// <summary>Bytes of a request's headers. Default: 16 KiB.</summary>
    public int HeaderBytes { get; init; } = 16 << 10;

    /// <summary>Texts that a request may ask for: its prompts times <c>n</c>. Default: 64.</summary>
    public int Texts { get; init; } = 64;

    /// <summary>Messages of a conversation. Default: 4,096.</summary>
    public int Messages { get; init; } = 4096;

    /// <summary>Stop strings. Default: 16.</summary>
    public int Stops { get; init; } = 16;

    /// <summary>Characters of a stop string. Default: 256.</summary>
    public int StopLength { get; init; } = 256;

    /// <summary>Entries of <c>logit_bias</c>. Default: 1,024.</summary>
    public int Biases { get; init; } = 1024;

    /// <summary>Tools. Default: 128.</summary>
    public int Tools { get; init; } = 128;

    /// <summary>Bytes of a JSON schema, of a regular expression, or of all tools' schemas together. Default: 256
    /// KiB.</summary>
    public int SchemaBytes { get; init; } = 256 << 10;

    /// <summary>Texts to embed, to label or to rank in a request. Default: 2,048.</summary>
    public int Inputs { get; init; } = 2048;

    /// <summary>What is out of range.</summary>
    internal IEnumerable<string> Problems() =>
        from limit in new (string Name, long Value)[]
        {
            (nameof(BodyBytes), BodyBytes), (nameof(HeaderBytes), HeaderBytes), (nameof(Texts), Texts),
            (nameof(Messages), Messages), (nameof(Stops), Stops), (nameof(StopLength), StopLength),
            (nameof(Biases), Biases), (nameof(Tools), Tools), (nameof(SchemaBytes), SchemaBytes),
            (nameof(Inputs), Inputs),
        }
        where limit.Value < 1
        select $"RequestLimits.{limit.Name} is {limit.Value}, expected at least 1.";
}
