namespace LowRank.Tokenization.Models;

/// <summary>The settings of a unigram model.</summary>
/// <param name="Unknown">The token for what no token covers; null leaves it out.</param>
/// <param name="LeastScore">The lowest score of a token.</param>
internal sealed record UnigramSettings(int? Unknown, double LeastScore)
{
    /// <summary>Whether unknown text becomes tokens of its bytes.</summary>
    public bool FallsBackToBytes { get; init; }

    /// <summary>Whether neighbouring unknown characters become one token.</summary>
    public bool FusesUnknown { get; init; } = true;

    /// <summary>Whether scores are summed in single precision, as sentencepiece does.</summary>
    public bool SumsInSingle { get; init; }

    /// <summary>A sum in the precision that is asked for.</summary>
    public double Round(double sum) => SumsInSingle ? (float)sum : sum;
}
