using LowRank.Data;

namespace LowRank.Recipes.Review;

/// <summary>A row as the model will see it.</summary>
/// <param name="Place">Where it stands.</param>
/// <param name="Pieces">Its text in order, each piece learned or not; special tokens spelled out.</param>
/// <param name="Tokens">Its tokens, before cutting.</param>
/// <param name="Learned">Labels it predicts, after cutting.</param>
/// <param name="Cut">Tokens that max_length cuts off; they are not in the pieces.</param>
public sealed record ReviewedText(DataPlace Place, IReadOnlyList<ReviewedPiece> Pieces, int Tokens, int Learned, int Cut);
