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
internal sealed class ServingWork(
    ServingRequest request, MixedAdapters adapters, Tokenizer tokenizer, IReadOnlySet<int> stops, int room,
    TokenConstraint? constraint)
{
    public ServingRequest Request => request;

    public MixedAdapters Adapters => adapters;

    public Tokenizer Tokenizer => tokenizer;

    public IReadOnlySet<int> Stops => stops;

    public int Room => room;

    public TokenConstraint? Constraint => constraint;

    /// <summary>What its reader gets.</summary>
    public ServedText Output { get; } = new(request.Prompt.Count);

    /// <summary>Texts that are not finished.</summary>
    public int Open { get; set; } = request.Count;

    /// <summary>When it was asked for; for measurements.</summary>
    public long Arrived { get; } = System.Diagnostics.Stopwatch.GetTimestamp();

    /// <summary>When its first text began to be worked on; 0 before.</summary>
    public long Admitted { get; set; }

    /// <summary>When its first token was written; 0 before.</summary>
    public long FirstToken { get; set; }

    /// <summary>Whether nobody reads it any more.</summary>
    public bool IsLeft => Output.IsLeft;
}

/// <summary>The adapters of a request, with what tells their content from others'.</summary>
/// <param name="Entries">The adapters; empty for the base alone.</param>
/// <param name="Mix">What rows are computed with; null for the base alone.</param>
/// <param name="Content">The digests of their files and their factors.</param>
internal sealed record MixedAdapters(IReadOnlyList<AdapterEntry> Entries, AdapterMix? Mix, string Content)
{
    /// <summary>Requests that use them now.</summary>
    public int Users { get; set; }
}
