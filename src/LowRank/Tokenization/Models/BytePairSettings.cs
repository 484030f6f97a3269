namespace LowRank.Tokenization.Models;

/// <summary>The settings of a BPE model.</summary>
internal sealed record BytePairSettings
{
    /// <summary>Stands for characters that are not in the vocabulary; null drops them.</summary>
    public string? UnknownToken { get; init; }

    /// <summary>Whether neighbouring unknown characters become one token.</summary>
    public bool FusesUnknown { get; init; }

    /// <summary>Whether unknown characters become the tokens &lt;0x00&gt; to &lt;0xFF&gt; of their bytes.</summary>
    public bool FallsBackToBytes { get; init; }

    /// <summary>Whether a piece that is a token is taken whole, whatever the merges say.</summary>
    public bool IgnoresMerges { get; init; }

    /// <summary>Stands before every part of a word but its first.</summary>
    public string SubwordPrefix { get; init; } = "";

    /// <summary>Stands behind the last part of a word.</summary>
    public string WordSuffix { get; init; } = "";
}
