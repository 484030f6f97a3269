namespace LowRank.Models.Families;

/// <summary>Where a masked language model's head has its weights.</summary>
/// <param name="Dense">The dense layer.</param>
/// <param name="Norm">The norm after it.</param>
/// <param name="Output">The layer that scores the vocabulary.</param>
/// <param name="Bias">The full name of the bias that its own shares while it shares the embedding's weight.</param>
internal sealed record MaskedHeadPaths(string Dense, string Norm, string Output, string Bias);
