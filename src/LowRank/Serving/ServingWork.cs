using LowRank.Adapters;
using LowRank.Generation;
using LowRank.Tokenizers;

namespace LowRank.Serving;

/// <summary>A request in the engine.</summary>
/// <param name="request">What was asked for.</param>
/// <param name="adapters">Its adapters, in use until the end.</param>
/// <param name="tokenizer">The tokenizer that makes its text.</param>
/// <param name="stops">Tokens that end a text.</param>
/// <param name="room">Most tokens of each text.</param>
/// <param name="constraint">What the texts have to be; null for anything.</param>
/// <param name="left">Called when its reader leaves.</param>
internal sealed class ServingWork(
    ServingRequest request, MixedAdapters adapters, Tokenizer tokenizer, IReadOnlySet<int> stops, int room,
    TokenConstraint? constraint, Action left)
{
    public ServingRequest Request => request;

    public MixedAdapters Adapters => adapters;

    public Tokenizer Tokenizer => tokenizer;

    public IReadOnlySet<int> Stops => stops;

    public int Room => room;

    public TokenConstraint? Constraint => constraint;

    /// <summary>What its reader gets.</summary>
    public ServedText Output { get; } = new(request.Prompt.Count, left);

    /// <summary>Texts that are not finished.</summary>
    public int Open { get; set; } = request.Count;

    /// <summary>Whether its adapters are in memory, where they stay until it ends.</summary>
    public bool IsPlaced { get; set; }

    /// <summary>Requests that came later and were begun before it, because there is no room for its
    /// adapters.</summary>
    public int Passed { get; set; }

    /// <summary>When it was asked for; for measurements.</summary>
    public long Arrived { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    /// <summary>When its first text began to be worked on; 0 before.</summary>
    public long Admitted { get; set; }

    /// <summary>When its first token was written; 0 before.</summary>
    public long FirstToken { get; set; }

    /// <summary>Whether nobody reads it any more.</summary>
    public bool IsLeft => Output.IsLeft;
}

/// <summary>The adapters of requests that have the same ones.</summary>
/// <param name="Entries">The adapters; empty for the base alone.</param>
/// <param name="Scales">The factors of their changes.</param>
/// <param name="Content">The digests of their files and their factors.</param>
internal sealed record MixedAdapters(IReadOnlyList<AdapterEntry> Entries, IReadOnlyList<double> Scales, string Content)
{
    /// <summary>What rows are computed with while requests are; null for the base alone.</summary>
    public AdapterMix? Mix { get; set; }

    /// <summary>Requests that use them or wait.</summary>
    public int Users { get; set; }

    /// <summary>Requests that are computed with them.</summary>
    public int Pins { get; set; }
}
