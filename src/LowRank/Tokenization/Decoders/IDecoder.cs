namespace LowRank.Tokenization.Decoders;

/// <summary>Turns tokens towards text: a stage changes the list of tokens, and what is left at the end is joined.</summary>
internal interface IDecoder
{
    /// <summary>The changed tokens.</summary>
    IReadOnlyList<string> Decode(IReadOnlyList<string> tokens);
}
