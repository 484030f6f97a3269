using LowRank.Tokenization.PreTokenizers;

namespace LowRank.Tokenization.Models;

/// <summary>Turns pieces of text into tokens.</summary>
internal interface ITokenModel
{
    /// <summary>Tokens to ids.</summary>
    IReadOnlyDictionary<string, int> Vocabulary { get; }

    /// <summary>Adds a piece's ids to a list.</summary>
    void Encode(Piece piece, List<int> ids);

    /// <summary>As <see cref="Encode"/>, and adds where each token stands in <see cref="Piece.Text"/>: its first unit and
    /// its last.</summary>
    void EncodeSpans(Piece piece, List<int> ids, List<(int First, int Last)> spans);
}
