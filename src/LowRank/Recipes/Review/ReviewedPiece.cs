namespace LowRank.Recipes.Review;

/// <summary>A part of a row's text.</summary>
/// <param name="Text">The text.</param>
/// <param name="IsLearned">Whether the model learns to write it.</param>
public sealed record ReviewedPiece(string Text, bool IsLearned);
