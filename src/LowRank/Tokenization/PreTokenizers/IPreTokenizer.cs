namespace LowRank.Tokenization.PreTokenizers;

/// <summary>Splits a piece of text further.</summary>
internal interface IPreTokenizer
{
    /// <summary>Adds the parts of a piece to a list.</summary>
    /// <param name="piece">The piece.</param>
    /// <param name="isFirst">Whether it begins the text.</param>
    /// <param name="parts">Receives the parts, in order; empty ones are left out.</param>
    /// <param name="budget">How long they may become together; null for the piece's own.</param>
    void Split(Piece piece, bool isFirst, List<Piece> parts, TextBudget? budget = null);
}
